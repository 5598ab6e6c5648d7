/* weights/pickle.c -- the opcodes of the data-only pickle machine. Memory and stack are in picklemachine.c, what
 * globals mean in pickleglobals.c. */
#include "weights/picklemachine.h"

#include "base/memory.h"

#include <string.h>

/* ---- reading arguments ---- */

static cn_status take(pickle *p, size_t size, const uint8_t **bytes, cn_error *err)
{
    *bytes = NULL;
    if ((size_t)(p->end - p->at) < size)
        return pickle_bad(p, "it is cut short", err);
    *bytes = p->at;
    p->at += size;
    return CN_OK;
}

static cn_status take_number(pickle *p, int bytes, uint64_t *value, cn_error *err)
{
    const uint8_t *b;
    cn_status st = take(p, (size_t)bytes, &b, err);
    *value = 0;
    if (st == CN_OK)
        for (int i = bytes; i-- > 0;)
            *value = *value << 8 | b[i];
    return st;
}

static cn_status take_line(pickle *p, const char **text, size_t *length, cn_error *err)
{
    const uint8_t *line = p->at, *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
    *text = (const char *)line;
    *length = 0;
    if (!newline)
        return pickle_bad(p, "it is cut short", err);
    *length = (size_t)(newline - line);
    p->at = newline + 1;
    return CN_OK;
}

static cn_status push_new(pickle *p, pickle_kind kind, pickle_value **out, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *v = pickle_new(p, kind, &st, err);
    if (v)
        st = pickle_push(p, v, err);
    if (out)
        *out = v;
    return st;
}

static cn_status push_integer(pickle *p, pickle_kind kind, int64_t value, cn_error *err)
{
    pickle_value *v;
    cn_status st = push_new(p, kind, &v, err);
    if (st == CN_OK)
        v->as.integer = value;
    return st;
}

/* A string or bytes whose length is a number of `bytes` bytes. */
static cn_status push_text(pickle *p, pickle_kind kind, int bytes, cn_error *err)
{
    cn_status st = CN_OK;
    uint64_t length;
    const uint8_t *text;
    pickle_value *v;
    CN_TRY(take_number(p, bytes, &length, err));
    CN_CHECK(length <= (size_t)(p->end - p->at), CN_EFORMAT,
             "%s: damaged pickle: a string of %llu bytes is cut short", p->what, (unsigned long long)length);
    CN_TRY(take(p, (size_t)length, &text, err));
    CN_TRY(push_new(p, kind, &v, err));
    v->as.string.text = (const char *)text;
    v->as.string.length = (size_t)length;
done:
    return st;
}

static cn_status push_long(pickle *p, int bytes, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *v;
    CN_TRY(push_text(p, PICKLE_LONG, bytes, err));
    CN_TRY(pickle_top(p, &v, err));
    size_t n = v->as.string.length;
    if (n <= 8) {
        const uint8_t *b = (const uint8_t *)v->as.string.text;
        uint64_t value = n && b[n - 1] & 0x80 ? UINT64_MAX : 0;
        for (size_t i = n; i-- > 0;)
            value = value << 8 | b[i];
        v->kind = PICKLE_INT;
        v->as.integer = (int64_t)value;
    }
done:
    return st;
}

static cn_status push_float(pickle *p, cn_error *err)
{
    cn_status st = CN_OK;
    const uint8_t *b;
    pickle_value *v;
    CN_TRY(take(p, 8, &b, err));
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) /* the one big-endian number of the format */
        bits = bits << 8 | b[i];
    CN_TRY(push_new(p, PICKLE_FLOAT, &v, err));
    memcpy(&v->as.number, &bits, sizeof bits);
done:
    return st;
}

/* ---- containers ---- */

static cn_status push_items(pickle *p, pickle_kind kind, pickle_value **items, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *v = pickle_new(p, kind, &st, err);
    if (!v)
        return st;
    if (count) {
        v->as.list.items = pickle_bytes(p, count * sizeof *items, &st, err);
        if (!v->as.list.items)
            return st;
        memcpy(v->as.list.items, items, count * sizeof *items);
    }
    v->as.list.count = v->as.list.room = (uint32_t)count; /* at most PICKLE_MAX_STACK */
    return pickle_push(p, v, err);
}

static cn_status push_marked(pickle *p, pickle_kind kind, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value **items = NULL;
    size_t count;
    CN_TRY(pickle_pop_mark(p, &items, &count, err));
    if (kind == PICKLE_DICT && count % 2)
        CN_TRY(pickle_bad(p, "a dict has a key without a value", err));
    CN_TRY(push_items(p, kind, items, count, err));
done:
    return st;
}

static cn_status push_tuple(pickle *p, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *v;
    for (size_t i = 0; i < count; i++) /* no mark may be among them */
        CN_TRY(pickle_pop(p, &v, err));
    CN_TRY(push_items(p, PICKLE_TUPLE, p->stack + p->stack_count, count, err));
done:
    return st;
}

/* Adds items to the list or dict on top. Values that we keep no content of swallow them. */
static cn_status extend(pickle *p, pickle_kind kind, pickle_value **items, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *target;
    CN_TRY(pickle_top(p, &target, err));
    if (target->kind == PICKLE_OPAQUE)
        goto done;
    if (target->kind != kind || (kind == PICKLE_DICT && count % 2))
        CN_TRY(pickle_bad(p, "items for something that is no list or dict", err));
    for (size_t i = 0; i < count; i++)
        CN_TRY(pickle_append(p, target, items[i], err));
done:
    return st;
}

static cn_status extend_marked(pickle *p, pickle_kind kind, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value **items = NULL;
    size_t count;
    CN_TRY(pickle_pop_mark(p, &items, &count, err));
    CN_TRY(extend(p, kind, items, count, err)); /* pushes nothing: items stay where they are */
done:
    return st;
}

static cn_status extend_popped(pickle *p, pickle_kind kind, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *v;
    for (size_t i = 0; i < count; i++)
        CN_TRY(pickle_pop(p, &v, err));
    CN_TRY(extend(p, kind, p->stack + p->stack_count, count, err));
done:
    return st;
}

/* ---- memo ---- */

static cn_status memo_put(pickle *p, uint64_t index, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *v;
    CN_TRY(pickle_top(p, &v, err));
    CN_CHECK(index < PICKLE_MAX_MEMO, CN_ELIMIT, "%s: the pickle's memo needs more than %zu entries", p->what,
             PICKLE_MAX_MEMO);
    CN_TRY(pickle_grow(p, &p->memo, &p->memo_room, (size_t)index + 1, PICKLE_MAX_MEMO, "memo", err));
    p->memoised += p->memo[index] == NULL;
    p->memo[index] = v;
done:
    return st;
}

static cn_status memo_get(pickle *p, int bytes, cn_error *err)
{
    cn_status st = CN_OK;
    uint64_t index;
    CN_TRY(take_number(p, bytes, &index, err));
    if (index >= p->memo_room || !p->memo[index])
        CN_TRY(pickle_bad(p, "it recalls a value that was never remembered", err));
    CN_TRY(pickle_push(p, p->memo[index], err));
done:
    return st;
}

static cn_status memo_put_number(pickle *p, int bytes, cn_error *err)
{
    uint64_t index;
    cn_status st = take_number(p, bytes, &index, err);
    return st == CN_OK ? memo_put(p, index, err) : st;
}

/* ---- globals and objects ---- */

static cn_status push_global(pickle *p, cn_error *err)
{
    cn_status st = CN_OK;
    const char *module, *name;
    size_t module_length, name_length;
    pickle_value *v;
    CN_TRY(take_line(p, &module, &module_length, err));
    CN_TRY(take_line(p, &name, &name_length, err));
    CN_TRY(pickle_find_global(p, &v, module, module_length, name, name_length, err));
    CN_TRY(pickle_push(p, v, err));
done:
    return st;
}

static cn_status push_stack_global(pickle *p, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *name, *module, *v;
    CN_TRY(pickle_pop(p, &name, err));
    CN_TRY(pickle_pop(p, &module, err));
    if (name->kind != PICKLE_STRING || module->kind != PICKLE_STRING)
        CN_TRY(pickle_bad(p, "a global's name is no string", err));
    CN_TRY(pickle_find_global(p, &v, module->as.string.text, module->as.string.length, name->as.string.text,
                              name->as.string.length, err));
    CN_TRY(pickle_push(p, v, err));
done:
    return st;
}

static cn_status reduce(pickle *p, bool keywords, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *function, *arguments, *v;
    if (keywords) /* NEWOBJ_EX; nothing that we build takes keywords */
        CN_TRY(pickle_pop(p, &v, err));
    CN_TRY(pickle_pop(p, &arguments, err));
    CN_TRY(pickle_pop(p, &function, err));
    if (function->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
        CN_TRY(pickle_bad(p, "a call of something that is no global", err));
    CN_TRY(pickle_reduce(p, &v, function, arguments, err));
    CN_TRY(pickle_push(p, v, err));
done:
    return st;
}

static cn_status persistent(pickle *p, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *id, *v;
    CN_TRY(pickle_pop(p, &id, err));
    CN_TRY(pickle_persistent(p, &v, id, err));
    CN_TRY(pickle_push(p, v, err));
done:
    return st;
}

/* The state of an object: for TorchScript modules their attributes; what others carry (the _metadata of a
 * state dict) is not needed. */
static cn_status build(pickle *p, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value *state, *target;
    CN_TRY(pickle_pop(p, &state, err));
    CN_TRY(pickle_top(p, &target, err));
    if (target->kind == PICKLE_OBJECT && state->kind == PICKLE_DICT) {
        for (uint32_t i = 0; i < state->as.list.count; i++)
            CN_TRY(pickle_append(p, target, state->as.list.items[i], err));
    } else if (target->kind != PICKLE_OBJECT && target->kind != PICKLE_DICT &&
               target->kind != PICKLE_OPAQUE && target->kind != PICKLE_TENSOR) {
        CN_TRY(pickle_bad(p, "a state for something that has none", err));
    }
done:
    return st;
}

/* ---- opcodes ---- */

/* Names for the opcodes that are refused, so that the message can say which. */
static const char *opcode_name(uint8_t opcode)
{
    static const struct {
        uint8_t opcode;
        const char *name;
    } names[] = {
        {'i', "INST"},  {'o', "OBJ"},    {'P', "PERSID"},  {'I', "INT"},          {'L', "LONG"},
        {'F', "FLOAT"}, {'S', "STRING"}, {'V', "UNICODE"}, {'g', "GET"},          {'p', "PUT"},
        {0x82, "EXT1"}, {0x83, "EXT2"},  {0x84, "EXT4"},   {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].opcode == opcode)
            return names[i].name;
    return NULL;
}

static cn_status refuse_opcode(const pickle *p, uint8_t opcode, cn_error *err)
{
    const char *name = opcode_name(opcode);
    if (name)
        return cn_fail(err, CN_EUNSUPPORTED,
                       "%s: refused: the pickle uses opcode %s, which no state dict needs", p->what, name);
    return cn_fail(err, CN_EFORMAT, "%s: damaged pickle at byte %zu: 0x%02x is no opcode", p->what,
                   (size_t)(p->opcode - p->data), opcode);
}

static cn_status execute(pickle *p, uint8_t opcode, cn_error *err)
{
    cn_status st;
    uint64_t n;
    pickle_value *v, **items;
    size_t count;
    switch (opcode) {
    case 0x80: /* PROTO */
        st = take_number(p, 1, &n, err);
        if (st == CN_OK && n > 5)
            st = cn_fail(err, CN_EUNSUPPORTED, "%s: pickle protocol %llu is not known", p->what,
                         (unsigned long long)n);
        return st;
    case 0x95: /* FRAME: a hint for buffered readers */
        st = take_number(p, 8, &n, err);
        return st == CN_OK && n > (size_t)(p->end - p->at) ? pickle_bad(p, "a frame is cut short", err) : st;
    case '(': /* MARK */ return pickle_push(p, NULL, err);
    case '0': /* POP */
        if (p->stack_count == 0)
            return pickle_bad(p, "the stack is empty", err);
        p->stack_count--;
        return CN_OK;
    case '1': /* POP_MARK */ return pickle_pop_mark(p, &items, &count, err);
    case '2': /* DUP */ st = pickle_top(p, &v, err); return st == CN_OK ? pickle_push(p, v, err) : st;
    case 'N': /* NONE */ return push_new(p, PICKLE_NONE, NULL, err);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */ return push_integer(p, PICKLE_BOOL, opcode == 0x88, err);
    case 'J': /* BININT */
        st = take_number(p, 4, &n, err);
        return st == CN_OK ? push_integer(p, PICKLE_INT, (int32_t)(uint32_t)n, err) : st;
    case 'K': /* BININT1 */
    case 'M': /* BININT2 */
        st = take_number(p, opcode == 'K' ? 1 : 2, &n, err);
        return st == CN_OK ? push_integer(p, PICKLE_INT, (int64_t)n, err) : st;
    case 0x8a: /* LONG1 */ return push_long(p, 1, err);
    case 0x8b: /* LONG4 */ return push_long(p, 4, err);
    case 'G': /* BINFLOAT */ return push_float(p, err);
    case 0x8c: /* SHORT_BINUNICODE */ return push_text(p, PICKLE_STRING, 1, err);
    case 'X': /* BINUNICODE */ return push_text(p, PICKLE_STRING, 4, err);
    case 0x8d: /* BINUNICODE8 */ return push_text(p, PICKLE_STRING, 8, err);
    case 'U': /* SHORT_BINSTRING: a str of Python 2 */ return push_text(p, PICKLE_STRING, 1, err);
    case 'T': /* BINSTRING */ return push_text(p, PICKLE_STRING, 4, err);
    case 'C': /* SHORT_BINBYTES */ return push_text(p, PICKLE_BYTES, 1, err);
    case 'B': /* BINBYTES */ return push_text(p, PICKLE_BYTES, 4, err);
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */ return push_text(p, PICKLE_BYTES, 8, err);
    case ']': /* EMPTY_LIST */
    case 0x8f: /* EMPTY_SET */ return push_new(p, PICKLE_LIST, NULL, err);
    case '}': /* EMPTY_DICT */ return push_new(p, PICKLE_DICT, NULL, err);
    case ')': /* EMPTY_TUPLE */ return push_new(p, PICKLE_TUPLE, NULL, err);
    case 'l': /* LIST */
    case 0x91: /* FROZENSET */ return push_marked(p, PICKLE_LIST, err);
    case 'd': /* DICT */ return push_marked(p, PICKLE_DICT, err);
    case 't': /* TUPLE */ return push_marked(p, PICKLE_TUPLE, err);
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */ return push_tuple(p, opcode - 0x84u, err);
    case 'a': /* APPEND */ return extend_popped(p, PICKLE_LIST, 1, err);
    case 'e': /* APPENDS */
    case 0x90: /* ADDITEMS */ return extend_marked(p, PICKLE_LIST, err);
    case 's': /* SETITEM */ return extend_popped(p, PICKLE_DICT, 2, err);
    case 'u': /* SETITEMS */ return extend_marked(p, PICKLE_DICT, err);
    case 'q': /* BINPUT */ return memo_put_number(p, 1, err);
    case 'r': /* LONG_BINPUT */ return memo_put_number(p, 4, err);
    case 0x94: /* MEMOIZE: Python uses the number of entries as the index */
        return memo_put(p, p->memoised, err);
    case 'h': /* BINGET */ return memo_get(p, 1, err);
    case 'j': /* LONG_BINGET */ return memo_get(p, 4, err);
    case 'c': /* GLOBAL */ return push_global(p, err);
    case 0x93: /* STACK_GLOBAL */ return push_stack_global(p, err);
    case 'R': /* REDUCE */
    case 0x81: /* NEWOBJ */ return reduce(p, false, err);
    case 0x92: /* NEWOBJ_EX */ return reduce(p, true, err);
    case 'Q': /* BINPERSID */ return persistent(p, err);
    case 'b': /* BUILD */ return build(p, err);
    default: return refuse_opcode(p, opcode, err);
    }
}

cn_status pickle_run(pickle **out, const uint8_t *data, size_t size, size_t *used, bool script,
                     const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    pickle *p = cn_calloc(1, sizeof *p);
    CN_CHECK(p, CN_ENOMEM, "%s: out of memory", what);
    p->what = what;
    p->data = p->at = p->opcode = data;
    p->end = data + size;
    p->script = script;
    for (;;) {
        p->opcode = p->at;
        if (p->at == p->end)
            CN_TRY(pickle_bad(p, "it is cut short", err));
        uint8_t opcode = *p->at++;
        if (opcode == '.') /* STOP */
            break;
        CN_TRY(execute(p, opcode, err));
    }
    CN_TRY(pickle_pop(p, &p->root, err));
    if (used)
        *used = (size_t)(p->at - data);
    *out = p, p = NULL;
done:
    pickle_free(p);
    return st;
}
