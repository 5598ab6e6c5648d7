// ONNX Runtime (onnxruntime-node) as a peer: one process that answers every line with the milliseconds of a forward pass.
// usage: node peer_ort.js MODEL.onnx PIXELS BATCH SIZE THREADS OUT
// First line out: JSON with the version. Then OUT (float32, raw) is written and `ready fp32` printed.
'use strict';
const fs = require('fs');
const readline = require('readline');
const ort = require('onnxruntime-node');

const [model, pixels, batch, size, threads, out] = process.argv.slice(2);

async function main() {
  console.log(JSON.stringify({ peer: 'ONNX Runtime', version: ort.env.versions.node, threads: Number(threads) }));
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], intraOpNumThreads: Number(threads), interOpNumThreads: 1,
    executionMode: 'sequential', graphOptimizationLevel: 'all', enableCpuMemArena: true, enableMemPattern: true,
  });
  const bytes = fs.readFileSync(pixels);
  const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const feeds = { pixels: new ort.Tensor('float32', data, [Number(batch), 3, Number(size), Number(size)]) };
  const result = (await session.run(feeds)).embedding;
  fs.writeFileSync(out, Buffer.from(result.data.buffer, result.data.byteOffset, result.data.byteLength));
  console.log('ready fp32');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    void line;
    const begin = process.hrtime.bigint();
    await session.run(feeds);
    console.log((Number(process.hrtime.bigint() - begin) / 1e6).toFixed(4));
  }
}

main().catch((error) => { console.error(String(error && error.message || error)); process.exit(1); });
