/* cli/commands.h -- the commands, one cmd_NAME.c each. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const struct command command_info;
extern const struct command command_embed;
extern const struct command command_classify;
extern const struct command command_activations;
extern const struct command command_gradient;
extern const struct command command_see;
extern const struct command command_facet;
extern const struct command command_scan;
extern const struct command command_merge;
extern const struct command command_card;
extern const struct command command_stats;
extern const struct command command_top;
extern const struct command command_buckets;
extern const struct command command_units;
extern const struct command command_images;
extern const struct command command_compare;
extern const struct command command_export;
extern const struct command command_find;
extern const struct command command_name;
extern const struct command command_label;
extern const struct command command_attribute;
extern const struct command command_intervene;
extern const struct command command_direction;
extern const struct command command_multimodal;
extern const struct command command_probe;
extern const struct command command_attack;
extern const struct command command_stroop;
extern const struct command command_explain;
extern const struct command command_codes;
extern const struct command command_atlas;
extern const struct command command_words;
extern const struct command command_regions;
extern const struct command command_tokens;
extern const struct command command_pixels;
extern const struct command command_pull;

#define CN_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
