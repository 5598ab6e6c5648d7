/* cli/cmd_see.c -- `clipneuron see`: pictures (or texts) of what units, directions and texts look for. */
#include "commands.h"
#include "report.h"
#include "see.h"

#include <clipneuron/textsee.h>
#include <string.h>

enum { MOST_FRAMES = 1000 };

static const char *const preset_choices[] = {"none", "paper", NULL};
const char *const see_canvases[] = {"fourier", "pixels", "phase", NULL};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct see_arguments, model),
    {'o', "output", OPTION_TEXT, offsetof(struct see_arguments, output), "OUT",
     "OUT.png for one picture; else a folder, which gets a PNG for each picture and a line in seen.jsonl. Default: STUDY/see with "
     "--study, otherwise required."},
    {'S', "study", OPTION_TEXT, offsetof(struct see_arguments, study), "STUDY",
     "Compare each unit's picture with natural ones: its activation beside the strongest of this study (of the same model), in sd units, "
     "and whether it takes their path through the network. The study keeps both; its cards show them."},
    {'a', "all", OPTION_FLAG, offsetof(struct see_arguments, all), NULL, "Operands are sites: every unit of each."},
    {0, "negative", OPTION_FLAG, offsetof(struct see_arguments, negative), NULL, "What inhibits: the same of every objective with the other sign."},
    {'p', "preset", OPTION_CHOICE, offsetof(struct see_arguments, preset), "NAME",
     "paper: what is not said otherwise as in Goh et al. 2021: 4096 steps of rate 0.02 at 256 px, transforms paper, 10*l2 taken from every "
     "objective, --redirect 16 --leak 0; with a facet nine pictures of strength 0.1 to 5. Default: none.", 0, 0, preset_choices},
    {'n', "steps", OPTION_COUNT, offsetof(struct see_arguments, steps), "N", "Steps of the ascent. Default: 512.", 1, 1000000},
    {0, "rate", OPTION_TEXT, offsetof(struct see_arguments, rate), "X", "Rate of Adam. Default: 0.05."},
    {0, "size", OPTION_COUNT, offsetof(struct see_arguments, size), "PX",
     "Side of the pictures. Default: the model's resolution.", 2, CN_MAX_SEE_SIZE},
    {0, "resolution", OPTION_COUNT, offsetof(struct see_arguments, resolution), "PX",
     "What the network sees of them: the whole picture at this size. Default: the model's.", 1, 8192},
    {'i', "images", OPTION_COUNT, offsetof(struct see_arguments, images), "N",
     "Pictures for each objective. With a diversity term they are pushed apart; otherwise only their starts differ. Default: 1.", 1, 256},
    {0, "starts", OPTION_COUNT, offsetof(struct see_arguments, starts), "N",
     "Starts of each picture: it goes on from the one that drives its objective most after 64 steps (after those of --redirect), which cost N "
     "times as much. Some units are hardly on from one start and strong from another. Default: 3; 1 for fewer than three times as many steps "
     "and with the preset paper. With --text: words from which the "
     "search sets out. Default: 32.", 1, CN_MAX_SEARCH_STARTS},
    {0, "redirect", OPTION_COUNT, offsetof(struct see_arguments, redirect), "STEPS",
     "Steps in the beginning in which ReLUs and GELUs let more of the gradient through, so that units that are off are found: Lucid's override, and --leak. "
     "0: none. Default: 64.", 0, 1000000},
    {0, "leak", OPTION_TEXT, offsetof(struct see_arguments, leak), "SHARE",
     "In those steps so much of the gradient passes ReLUs that are off, where it would switch them on; it is the least slope of a GELU there. 0: Lucid's "
     "override alone, where nothing else passes. Default: 0.01."},
    {'s', "seed", OPTION_COUNT, offsetof(struct see_arguments, seed), "N", "Of all that is random. Default: 0.", 0, INT64_MAX},
    {0, "canvas", OPTION_CHOICE, offsetof(struct see_arguments, canvas), "KIND",
     "What is optimised. fourier: frequencies, scaled alike; pixels; phase: phases with the magnitudes of natural pictures, for "
     "models whose pictures are noise otherwise (ViTs). Default: fourier.", 0, 0, see_canvases},
    {0, "natural", OPTION_WORDS, offsetof(struct see_arguments, natural), "FILE",
     "phase: take the magnitudes of these natural pictures (files, folders, @LISTs); may be repeated. Default: 1/f."},
    {0, "importance", OPTION_FLAG, offsetof(struct see_arguments, importance), NULL,
     "Make transparent what did not matter: opacity is the size of the gradient, summed over all steps."},
    {0, "decay", OPTION_TEXT, offsetof(struct see_arguments, decay), "X", "fourier: frequencies are scaled by 1/f^X. Default: 1."},
    {0, "correlated", OPTION_FLAG, offsetof(struct see_arguments, correlated), NULL, "Leave colours as they are, not decorrelated."},
    {0, "alpha", OPTION_FLAG, offsetof(struct see_arguments, alpha), NULL, "Let what does not matter become transparent."},
    {0, "transforms", OPTION_TEXT, offsetof(struct see_arguments, transforms), "SET",
     "How the picture is moved in every step: standard, mild, paper, crops, none, or a list such as \"pad 4, jitter 8, scale 0.9-1.1, "
     "rotate -5-5, crop 50-100, noise 0.02\". Default: standard, for ResNets below 160 px mild; crops for phase."},
    {'F', "facets", OPTION_TEXT, offsetof(struct see_arguments, facets), "FILE", "Facets of this model, from 'clipneuron facet train'. Default: those beside the model, MODEL.facets.npz."},
    {'f', "facet", OPTION_WORDS, offsetof(struct see_arguments, facet), "NAME",
     "Draw what of the objective belongs to this facet; may be repeated: pictures for each. 'all': every one of the file."},
    {0, "strength", OPTION_TEXT, offsetof(struct see_arguments, strength), "A-B",
     "Strength of the facet; with several --images it runs from A to B over them. Default: 20; 5-50 for several; with the preset paper 1 and 0.1-5."},
    {0, "every", OPTION_COUNT, offsetof(struct see_arguments, every), "N", "Also save each picture every N steps, as NAME.STEP.png.", 1, 1000000},
    {0, "animate", OPTION_FLAG, offsetof(struct see_arguments, animate), NULL,
     "With --every: the course as an animated PNG, NAME.course.png, in place of single ones."},
    {0, "sheets", OPTION_COUNT, offsetof(struct see_arguments, sheets), "PX",
     "Also lay all pictures out on sheets, PX wide each: sheet.png (sheet.FACET.png, ...) and sheets.json, which says where each is.", 8, 512},
    {0, "json", OPTION_FLAG, offsetof(struct see_arguments, json), NULL, "Print a JSON line for each picture, or texts as JSON."},
    {0, "text", OPTION_FLAG, offsetof(struct see_arguments, text), NULL,
     "Not pictures but texts: search for those whose embedding is nearest to the direction of the objective's units."},
    {'l', "list", OPTION_TEXT, offsetof(struct see_arguments, texts.list), "FILE",
     "--text: take the best of these texts, one a line, in place of a search; - reads standard input."},
    {0, "best", OPTION_COUNT, offsetof(struct see_arguments, texts.best), "N", "--text: show so many. Default: 16.", 1, 4096},
    {0, "words", OPTION_COUNT, offsetof(struct see_arguments, texts.words), "N", "--text: words of a text, at most. Default: 4.", 1,
     CN_MAX_SEARCH_WORDS},
    {0, "frame", OPTION_TEXT, offsetof(struct see_arguments, texts.frame), "TEXT", "--text: what stands around the words, such as 'a photo of {}'."},
    {0, "fluency", OPTION_TEXT, offsetof(struct see_arguments, texts.fluency), "X",
     "--text: what rare and repeated words cost: cosine for each nat. Default: 0.002; 0: nothing."},
    {0, "at", OPTION_WORDS, offsetof(struct see_arguments, texts.at), "FILE",
     "--text: take units' directions exactly, as derivatives at this picture (or a folder's, or @LIST's), not linearised; may be repeated."},
    {0, "memory", OPTION_COUNT, offsetof(struct see_arguments, memory), "MIB",
     "Limit of the memory for activations; what it cannot hold is computed twice. Default: none.", 1, 1 << 24},
    RUN_OPTIONS(struct see_arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct see_arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

/* Sites of image towers begin so, models do not. */
static bool is_site(const char *name)
{
    static const char *const first[] = {"visual", "layer", "transformer", "image_block", "relu", "conv", "bn", "avgpool", "attnpool", "pre:"};
    for (size_t i = 0; i < CN_COUNT(first); i++)
        if (strncmp(name, first[i], strlen(first[i])) == 0)
            return true;
    return false;
}

/* What the command line leaves open. */
static void fill_in(struct see_arguments *a)
{
    const bool paper = a->preset == PRESET_PAPER;
    a->steps = a->steps ? a->steps : paper ? 4096 : 512;
    a->images = a->images ? a->images : paper && a->facet.count ? 9 : 1;
    a->texts.starts = a->starts;
    const int64_t choice = a->redirect > 0 ? a->redirect : CN_SEE_REDIRECT_STEPS;
    a->starts = a->starts ? a->starts : paper || a->steps < 3 * choice ? 1 : 3;
    a->size = a->size || !paper ? a->size : 256;
    a->rate = a->rate || !paper ? a->rate : "0.02";
    a->transforms = a->transforms || !paper ? a->transforms : "paper";
    if (paper && a->facet.count && !a->strength)
        a->strength = a->images > 1 ? "0.1-5" : "1";
}

static int run(int argc, char **argv)
{
    struct see_arguments a = {.redirect = UNSAID};
    int code = options_begin(&command_see, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_model *model = NULL;
    size_t begin = 0;
    fill_in(&a);
    code = EXIT_DONE;
    /* see MODEL OBJECTIVE... : a first operand that is no objective (with --all: no site), before others that may be */
    if (a.operands.count > 1 && !a.model.model && !strchr(a.operands.items[0], ':') && !(a.all && is_site(a.operands.items[0]))) {
        a.model.model = a.operands.items[0];
        begin = 1;
    }
    if (!a.operands.count)
        code = fail_usage("see", a.all ? "name a site, such as layer4" : "name what to see, such as layer4:89");
    else if (a.text && (a.all || a.output || a.facets || a.facet.count || a.strength || a.study || a.preset || a.memory))
        code = fail_usage("see", "--text prints texts; it goes with no --all, -o, --study, --facet, --strength, --preset or --memory");
    else if (a.alpha && a.importance)
        code = fail_usage("see", "--alpha and --importance are two meanings of transparency; take one");
    else if (!a.text && a.starts > CN_MAX_SEE_STARTS)
        code = fail_usage("see", "--starts is at most %d for pictures", CN_MAX_SEE_STARTS);
    else if (a.animate && a.every && a.steps / a.every > MOST_FRAMES)
        code = fail_usage("see", "--animate keeps %d frames at most; %lld steps and --every %lld are more", MOST_FRAMES, (long long)a.steps,
                          (long long)a.every);
    else if (!a.text && (a.texts.list || a.texts.at.count))
        code = fail_usage("see", "%s goes with --text", a.texts.list ? "--list" : "--at");
    else if (a.animate && !a.every)
        code = fail_usage("see", "--animate goes with --every N");
    else if (a.leak && a.redirect == 0)
        code = fail_usage("see", "--leak goes with steps of --redirect, not with none");
    else if (!a.text && !a.output && !a.study)
        code = fail_usage("see", "-o OUT is missing");
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE && a.text) {
        a.texts.seed = a.seed, a.texts.json = a.json, a.texts.quiet = a.quiet, a.texts.negative = a.negative;
        code = see_texts(model, &a.run, &a.texts, a.operands.items + begin, a.operands.count - begin);
    } else if (code == EXIT_DONE) {
        code = see_pictures(model, &a, a.operands.items + begin, a.operands.count - begin);
    }
    cn_model_close(model);
    options_free(&command_see, &a);
    return code;
}

const struct command command_see = {
    .name = "see",
    .summary = "pictures of what units, directions and texts look for",
    .synopsis = "see [MODEL] OBJECTIVE... -o OUT\n"
                "see [MODEL] SITE... --all -o FOLDER\n"
                "see [MODEL] OBJECTIVE... --text [--list FILE]",
    .description = "Draws pictures that drive an objective as high as possible, by gradient ascent (feature visualisation): in every step "
                   "the picture is moved about a little, the network says how to change it, and its parameters take a step. Each PNG carries "
                   "its objective, its settings and the value that it reaches, measured in fp32 without moving it.\n\n"
                   "'clipneuron help gradient' says what objectives are. A picture that is there with the same settings is not made again.\n\n"
                   "With --text it looks for texts: a unit of the last block of a ResNet (of the stream of a ViT) has a direction "
                   "in the space of embeddings, when what follows is taken to be linear, and texts are scored by their cosine with it.\n\n"
                   "Such pictures show what drives a unit, not what it does on real pictures: look at 'clipneuron card' first.",
    .examples = "One unit of the default model:\n\n"
                "$ clipneuron see layer4:911 --steps 32 -o unit.png\n\n"
                "Two objectives, and the course of the ascent:\n\n"
                "$ clipneuron see \"layer4:911 + layer4:626\" 'text:\"a red heart\"' --steps 20 --every 10 -o pictures\n\n"
                "Texts that a unit speaks for, and the best of a list:\n\n"
                "$ clipneuron see layer4:911 --text --words 2 --starts 4\n"
                "$ printf 'a cloud\\na rocket\\n' > words.txt\n"
                "$ clipneuron see layer4:911 --text --list words.txt --best 5",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "OBJECTIVE...",
    .operands_offset = offsetof(struct see_arguments, operands),
    .run = run,
};
