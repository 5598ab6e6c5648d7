/* cli/attackreport.h -- what attacks and defences came to, as tables and as JSON. */
#ifndef CLI_ATTACKREPORT_H
#define CLI_ATTACKREPORT_H

#include <clipneuron/attack.h>

struct people; /* what is warned of; freed */
void attack_table_print(const cn_attack_table *t, struct people *people);
void attack_table_json(const cn_attack_table *t, int64_t seed, struct people *people);
void attack_search_print(const cn_attack_search_result *r, struct people *people);
void attack_search_json(const cn_attack_search_result *r, int64_t seed, struct people *people);
/* readers: how many units are listed */
void defence_print(const cn_defence_result *r, size_t readers, struct people *people);
void defence_json(const cn_defence_result *r, size_t readers, int64_t seed, struct people *people);

#endif
