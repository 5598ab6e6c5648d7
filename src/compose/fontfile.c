/* compose/fontfile.c -- a font map of Pango with a fontconfig of its own. */
#include "compose/fontfile.h"

#include "base/memory.h"

#include <fontconfig/fontconfig.h>
#include <pango/pangofc-fontmap.h>

struct fontfile {
    const char *path;
    char *family;
    PangoFontMap *map; /* knows this file and nothing of the system */
};

cn_status fontfile_open(fontfile **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    FcChar8 *family = NULL;
    FcConfig *config = FcConfigCreate();
    fontfile *f = cn_calloc(1, sizeof *f);
    *out = NULL;
    CN_CHECK(config && f, CN_ENOMEM, "out of memory for a font");
    f->path = path;
    CN_CHECK(FcConfigAppFontAddFile(config, (const FcChar8 *)path), CN_EFORMAT, "%s: cannot be read as a font", path);
    const FcFontSet *found = FcConfigGetFonts(config, FcSetApplication);
    CN_CHECK(found && found->nfont > 0 && FcPatternGetString(found->fonts[0], FC_FAMILY, 0, &family) == FcResultMatch, CN_EFORMAT,
             "%s: no font that has a name", path);
    f->family = cn_strdup((const char *)family);
    CN_CHECK(f->family, CN_ENOMEM, "out of memory for a font");
    f->map = pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT);
    CN_CHECK(f->map && PANGO_IS_FC_FONT_MAP(f->map), CN_EUNSUPPORTED, "this system's Pango reads no fonts from files");
    pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(f->map), config);
    *out = f, f = NULL;
done:
    if (config)
        FcConfigDestroy(config); /* the map holds its own reference */
    fontfile_close(f);
    return st;
}

void fontfile_close(fontfile *f)
{
    if (!f)
        return;
    if (f->map)
        g_object_unref(f->map);
    cn_free(f->family);
    cn_free(f);
}

static PangoLayout *layout_of(const fontfile *f, cairo_t *cr)
{
    if (!f)
        return pango_cairo_create_layout(cr);
    PangoContext *context = pango_font_map_create_context(f->map);
    PangoLayout *layout = pango_layout_new(context);
    pango_cairo_update_context(cr, context);
    g_object_unref(context);
    return layout;
}

PangoLayout *fontfile_layout(const fontfile *f, cairo_t *cr)
{
    PangoLayout *layout = layout_of(f, cr);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    pango_cairo_context_set_font_options(pango_layout_get_context(layout), options);
    pango_context_set_round_glyph_positions(pango_layout_get_context(layout), FALSE);
    cairo_font_options_destroy(options);
    return layout;
}

PangoFontDescription *fontfile_description(const fontfile *f)
{
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family(font, f->family);
    return font;
}

cn_status fontfile_check_letters(const fontfile *f, PangoLayout *layout, const char *text, cn_error *err)
{
    if (pango_layout_get_unknown_glyphs_count(layout) == 0)
        return CN_OK;
    return f ? cn_fail(err, CN_EUNSUPPORTED, "%s has not all letters of '%s'", f->path, text)
             : cn_fail(err, CN_EUNSUPPORTED, "no font of this system has all letters of '%s'", text);
}

cn_status fontset_open(fontset *s, const char *const *paths, size_t n, int versions, cn_error *err)
{
    cn_status st = CN_OK;
    *s = (fontset){0};
    CN_CHECK(n <= (size_t)versions, CN_EINVAL, "%zu fonts are too many for %d %s of each word", n, versions, versions == 1 ? "drawing" : "drawings");
    s->files = cn_calloc(n + 1, sizeof *s->files);
    CN_CHECK(s->files, CN_ENOMEM, "out of memory for %zu fonts", n);
    for (; s->n < n; s->n++)
        CN_TRY(fontfile_open(&s->files[s->n], paths[s->n], err));
done:
    return st;
}

void fontset_close(fontset *s)
{
    for (size_t i = 0; i < s->n; i++)
        fontfile_close(s->files[i]);
    cn_free(s->files);
    *s = (fontset){0};
}

const fontfile *fontset_at(const fontset *s, int version)
{
    return s->n ? s->files[(size_t)version % s->n] : NULL;
}
