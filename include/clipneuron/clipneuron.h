/* clipneuron/clipneuron.h -- the whole public API, and its version.
 * One header per noun; include this one, or only those that you use. docs/conventions.md says what is
 * promised to stay as it is between versions. */
#ifndef CLIPNEURON_CLIPNEURON_H
#define CLIPNEURON_CLIPNEURON_H

#include "clipneuron/array.h"
#include "clipneuron/ask.h"
#include "clipneuron/attribute.h"
#include "clipneuron/attack.h"
#include "clipneuron/card.h"
#include "clipneuron/direction.h"
#include "clipneuron/error.h"
#include "clipneuron/evidence.h"
#include "clipneuron/facet.h"
#include "clipneuron/find.h"
#include "clipneuron/image.h"
#include "clipneuron/intervene.h"
#include "clipneuron/linear.h"
#include "clipneuron/model.h"
#include "clipneuron/multimodal.h"
#include "clipneuron/objective.h"
#include "clipneuron/probe.h"
#include "clipneuron/pull.h"
#include "clipneuron/rating.h"
#include "clipneuron/see.h"
#include "clipneuron/study.h"
#include "clipneuron/textsee.h"
#include "clipneuron/textunits.h"
#include "clipneuron/tokenizer.h"
#include "clipneuron/weights.h"

#define CN_VERSION_MAJOR 0
#define CN_VERSION_MINOR 1
#define CN_VERSION_PATCH 0
#define CN_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/** The version of the library that is running, which may differ from CN_VERSION; static storage. */
CN_API const char *cn_version(void);

#ifdef __cplusplus
}
#endif
#endif
