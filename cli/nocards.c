/* cli/nocards.c -- stands in until the study has its cards. */
#include <clipneuron/card.h>
#define STUB(name)                                                                                                     \
    cn_status name(cn_study *s, const cn_unit_ref *u, size_t n, const cn_card_options *o, const char *p, cn_error *e)   \
    {                                                                                                                  \
        (void)s, (void)u, (void)n, (void)o, (void)p, (void)e;                                                          \
        return CN_EUNSUPPORTED;                                                                                        \
    }
#ifdef NO_html
STUB(cn_card_write_html)
#endif
#ifdef NO_png
STUB(cn_card_write_png)
#endif
#ifdef NO_pngs
STUB(cn_card_write_pngs)
#endif
