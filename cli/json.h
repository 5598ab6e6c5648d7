/* cli/json.h -- JSON on a stream: commas and escapes are looked after, nesting is the caller's. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    bool comma; /* the next value needs one before it */
    int depth;
    int flat; /* the depth from which all stays on one line; 0: none; ends with that value */
};

void json_begin(struct json *j, FILE *out);
/* key NULL inside an array; bracket is one of { [. With j->flat = depth, all from that depth on stays
 * on one line. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *text); /* NULL text: null */
void json_int(struct json *j, const char *key, int64_t value);
void json_real(struct json *j, const char *key, double value); /* as a float32; not finite: null */
void json_bool(struct json *j, const char *key, bool value);
/* Ends the line of the outermost value. */
void json_end(struct json *j);

/* One string with quotes; bytes that are not UTF-8 become U+FFFD. */
void json_string(FILE *out, const char *text);

#endif
