/* study/cardhtml.h -- the parts that make the page of cards. */
#ifndef STUDY_CARDHTML_H
#define STUDY_CARDHTML_H

#include "study/carddata.h"
#include "study/html.h"

/* card.css, compiled in by the build. */
extern const char card_style[];

/* The histogram of activation as inline SVG, 1000 wide, the plot from x = 50 to 985: buckets below it
 * line up (card.css gives them the same margins). */
void cardhtml_histogram(html *h, const card *c);

#endif
