/* study/ratingsheet.c -- a page to rate pictures on, for people without a terminal. It fetches nothing; its one script, which
 * puts the answers into a CSV, is allowed by its SHA-256 and holds nothing that a user named: it reads names from the page. */
#include "study/ratings.h"

#include "base/memory.h"
#include "file/output.h"
#include "file/sha256.h"
#include "study/html.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--page:#f4f3f0;--card:#fff;--ink:#1c1b19;--soft:#5f5c56;--line:#dedbd3;--on:#0b63b0}\n"
    "@media (prefers-color-scheme:dark){:root{--page:#121316;--card:#1c1e22;--ink:#eceae6;--soft:#a3a19b;--line:#34373d;--on:#7cb4f0}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);"
    "font:16px/1.45 system-ui,\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif}\n"
    "header,main,noscript p{max-width:1100px;margin:0 auto;padding:20px}h1{font-size:24px;margin:0 0 6px}p{margin:0 0 8px;max-width:75ch}\n"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:14px}\n"
    "fieldset{margin:0;padding:12px;border:1px solid var(--line);border-radius:12px;background:var(--card);min-width:0}\n"
    "legend{padding:0 6px;color:var(--soft);font-size:14px}\n"
    "img,.none{display:block;width:100%;aspect-ratio:1;border-radius:8px;background:#fff;margin-bottom:8px}"
    ".none{display:grid;place-items:center;color:#777}\n"
    "label{display:flex;gap:8px;align-items:center;padding:3px 4px;border-radius:6px;cursor:pointer;overflow-wrap:anywhere}"
    "label:hover{background:var(--page)}input{accent-color:var(--on);margin:0;flex:none}\n"
    "fieldset.done{border-color:var(--on)}\n"
    "footer{position:sticky;bottom:0;background:var(--card);border-top:1px solid var(--line);padding:12px 20px;display:flex;gap:16px;"
    "align-items:center;justify-content:center}\n"
    "button{font:inherit;font-weight:600;padding:8px 18px;border-radius:8px;border:1px solid "
    "var(--on);background:var(--on);color:var(--card);"
    "cursor:pointer}button:disabled{opacity:.5;cursor:default}\n";

static const char script[] =
    "'use strict';\n"
    "const sheet = document.querySelector('main'), button = document.querySelector('button'), state = document.querySelector('output');\n"
    "const sets = [...sheet.querySelectorAll('fieldset')], key = 'clipneuron ' + sheet.dataset.key;\n"
    "const chosen = set => set.querySelector('input:checked');\n"
    "const quoted = text => '\"' + text.replaceAll('\"', '\"\"') + '\"';\n"
    "function show() {\n"
    "  const done = sets.filter(chosen).length;\n"
    "  sets.forEach(set => set.classList.toggle('done', !!chosen(set)));\n"
    "  state.value = done + ' of ' + sets.length + ' pictures';\n"
    "  button.disabled = done === 0;\n"
    "}\n"
    "function keep() {\n"
    "  const answers = {};\n"
    "  for (const set of sets) if (chosen(set)) answers[set.dataset.image] = chosen(set).value;\n"
    "  try { localStorage.setItem(key, JSON.stringify(answers)); } catch (e) { /* a browser that keeps nothing for files */ }\n"
    "  show();\n"
    "}\n"
    "try {\n"
    "  const answers = JSON.parse(localStorage.getItem(key) || '{}');\n"
    "  for (const set of sets)\n"
    "    for (const input of set.querySelectorAll('input')) input.checked = answers[set.dataset.image] === input.value;\n"
    "} catch (e) { /* as above */ }\n"
    "sheet.addEventListener('change', keep);\n"
    "button.addEventListener('click', () => {\n"
    "  const rows = ['image,path,category,rater'];\n"
    "  for (const set of sets)\n"
    "    if (chosen(set))\n"
    "      rows.push([set.dataset.image, quoted(set.dataset.path), quoted(chosen(set).value), quoted(sheet.dataset.rater)].join(','));\n"
    "  const link = document.createElement('a');\n"
    "  link.href = URL.createObjectURL(new Blob([rows.join('\\n') + '\\n'], {type: 'text/csv'}));\n"
    "  link.download = sheet.dataset.file;\n"
    "  link.click();\n"
    "});\n"
    "show();\n";

static cn_status script_hash(unsigned char hash[32], cn_error *err)
{
    cn_status st = CN_OK;
    sha256 *sum = NULL;
    char hex[65];
    CN_TRY(sha256_open(&sum, err));
    CN_TRY(sha256_add(sum, script, sizeof script - 1, err));
    CN_TRY(sha256_hex(sum, hex, err));
    for (int i = 0; i < 32; i++) {
        unsigned value = 0;
        for (int k = 0; k < 2; k++) {
            const char c = hex[2 * i + k];
            value = value << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        hash[i] = (unsigned char)value;
    }
done:
    sha256_close(sum);
    return st;
}

static void write_picture(html *h, const cn_rating_picture *p, size_t i, size_t n, const cn_category *categories, size_t n_categories)
{
    html_raw(h, "<fieldset");
    html_raw(h, " data-image=\"");
    html_format(h, "%" PRId64, p->image);
    html_raw(h, "\"");
    html_attribute(h, "data-path", p->path);
    html_raw(h, "><legend>");
    html_format(h, "%zu of %zu", i + 1, n);
    html_raw(h, "</legend>");
    if (p->thumbnail && *p->thumbnail_type) {
        html_raw(h, "<img decoding=\"async\" alt=\"picture ");
        html_format(h, "%zu", i + 1);
        html_raw(h, "\" src=\"");
        html_data(h, p->thumbnail_type, p->thumbnail, p->thumbnail_size);
        html_raw(h, "\">");
    } else {
        html_raw(h, "<span class=\"none\">no picture</span>");
    }
    for (size_t c = 0; c < n_categories; c++) {
        html_raw(h, "<label><input type=\"radio\" name=\"p");
        html_format(h, "%zu", i);
        html_raw(h, "\"");
        html_attribute(h, "value", categories[c].name);
        html_raw(h, ">");
        html_text(h, categories[c].name);
        html_raw(h, "</label>");
    }
    html_raw(h, "</fieldset>\n");
}

static void write_page(html *h, const cn_study *s, const char *unit, const char *rater, const unsigned char hash[32],
                       const cn_rating_picture *pictures, size_t n, const cn_category *categories, size_t n_categories)
{
    char name[512];
    html_raw(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
                "script-src 'sha256-");
    html_base64(h, hash, 32);
    html_raw(h, "'\">\n<title>Pictures to sort: ");
    html_text(h, rater);
    html_raw(h, "</title>\n<style>\n");
    html_raw(h, style);
    html_raw(h, "</style>\n</head>\n<body>\n<header><h1>What do these pictures show?</h1>\n<p>Choose for each of the ");
    html_count(h, (int64_t)n);
    html_raw(h, " pictures the category that fits it best. They come in random order; take them as they are, and leave out those you "
                "cannot tell. At the end, the button below gives a file with your answers.</p>\n<p>Rater: <b>");
    html_text(h, rater);
    html_raw(h, "</b></p>\n</header>\n<noscript><p>Without scripts this page cannot give a file: fill in the table that 'clipneuron label "
                "--csv-template' writes.</p></noscript>\n<main");
    snprintf(name, sizeof name, "%s %.16s %s %s", s->info.created, s->info.fingerprint, unit, rater);
    html_attribute(h, "data-key", name);
    html_attribute(h, "data-rater", rater);
    snprintf(name, sizeof name, "ratings %s %s.csv", unit, rater);
    for (char *c = name; *c; c++)
        if (strchr("/\\: ", *c))
            *c = '_';
    html_attribute(h, "data-file", name);
    html_raw(h, ">\n");
    for (size_t i = 0; i < n; i++)
        write_picture(h, &pictures[i], i, n, categories, n_categories);
    html_raw(h, "</main>\n<footer><output></output><button type=\"button\">Save my answers</button></footer>\n<script>");
    html_raw(h, script);
    html_raw(h, "</script>\n</body>\n</html>\n");
}

cn_status cn_study_write_rating_sheet(cn_study *s, cn_unit_ref ref, const char *rater, const char *file, cn_error *err)
{
    cn_status st = CN_OK;
    cn_rating_picture *pictures = NULL;
    cn_category *categories = NULL;
    size_t n = 0, n_categories = 0;
    output *out = NULL;
    char unit[256];
    unsigned char hash[32];
    CN_TRY(rating_check_name(s->path, "rater", rater, CN_EINVAL, err));
    CN_TRY(cn_study_categories(s, ref, &categories, &n_categories, err));
    CN_CHECK(n_categories > 0, CN_EINVAL, "%s: %s has no categories yet", s->path, rating_unit(s, ref, unit, sizeof unit));
    CN_TRY(rating_pictures(s, ref, rater, true, &pictures, &n, err));
    CN_TRY(script_hash(hash, err));
    CN_TRY(output_open(&out, file, err));
    html h = {.out = out, .err = err};
    write_page(&h, s, rating_unit(s, ref, unit, sizeof unit), rater, hash, pictures, n, categories, n_categories);
    CN_TRY(h.status);
    output *complete = out;
    out = NULL;
    CN_TRY(output_commit(complete, err));
done:
    output_discard(out);
    cn_free(pictures);
    cn_free(categories);
    return st;
}
