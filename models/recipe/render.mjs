// render.mjs JOBS OUT DONE -- draws icons: a line of JOBS is {"row", "svg"}, OUT holds SIZE x SIZE premultiplied RGBA a
// row, DONE gets a byte a row: 1 drawn, 2 refused. Rows that are done are skipped, so a run goes on where the last one
// ended. The renderer aborts the whole process on some SVGs: the row in hand is written to OUT + ".now", and render.py
// marks it as refused and starts again.
import { createReadStream, openSync, writeSync, writeFileSync, readFileSync, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { Resvg } from "@resvg/resvg-js";

const SIZE = 96;
const [jobs, out, done] = process.argv.slice(2);
const before = existsSync(done) ? readFileSync(done) : Buffer.alloc(0);
const pixels = openSync(out, existsSync(out) ? "r+" : "w");
const marks = openSync(done, existsSync(done) ? "r+" : "w");
const now = openSync(out + ".now", "w");

// Fits the drawing into the square, centred.
function draw(svg) {
    const wide = svg.width >= svg.height;
    const image = new Resvg(svg.text, {
        fitTo: { mode: wide ? "width" : "height", value: SIZE },
        font: { loadSystemFonts: false },
    }).render();
    const square = Buffer.alloc(SIZE * SIZE * 4);
    const left = (SIZE - image.width) >> 1, top = (SIZE - image.height) >> 1;
    const source = image.pixels;
    for (let y = 0; y < Math.min(image.height, SIZE); y++)
        source.copy(square, ((y + Math.max(top, 0)) * SIZE + Math.max(left, 0)) * 4, y * image.width * 4,
            (y * image.width + Math.min(image.width, SIZE)) * 4);
    return square;
}

for await (const line of createInterface({ input: createReadStream(jobs) })) {
    const job = JSON.parse(line);
    if (before[job.row])
        continue;
    writeSync(now, String(job.row).padEnd(12), 0);
    let mark = 1;
    try {
        writeSync(pixels, draw(job.svg), 0, SIZE * SIZE * 4, job.row * SIZE * SIZE * 4);
    } catch {
        mark = 2;
    }
    writeSync(marks, Buffer.from([mark]), 0, 1, job.row);
}
writeFileSync(out + ".now", "");
