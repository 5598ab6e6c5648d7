/* study/schema.h -- the tables of study.sqlite, version 3. docs/study.md explains every column; change
 * both together and raise CN_STUDY_SCHEMA. */
#ifndef STUDY_SCHEMA_H
#define STUDY_SCHEMA_H

#define SCHEMA_FILE "study.sqlite"
#define SCHEMA_APPLICATION 0x636e7374 /* "cnst" */
#define SCHEMA_PART 0x636e7370        /* "cnsp": of a scan in work */

#define SCHEMA_TABLES                                                                                        \
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"                                         \
    "CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL, images INTEGER NOT NULL);"             \
    "CREATE TABLE media (id INTEGER PRIMARY KEY, name TEXT NOT NULL, images INTEGER NOT NULL,"               \
    " written INTEGER NOT NULL);"                                                                            \
    "CREATE TABLE images (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label INTEGER REFERENCES labels,"      \
    " medium INTEGER REFERENCES media, caption TEXT, source TEXT, licence TEXT, width INTEGER,"              \
    " height INTEGER, format TEXT, digest TEXT, same_as INTEGER REFERENCES images);"                         \
    "CREATE TABLE fields (image INTEGER NOT NULL REFERENCES images, field TEXT NOT NULL, value TEXT NOT NULL,"  \
    " PRIMARY KEY (image, field)) WITHOUT ROWID;"                                                            \
    "CREATE TABLE thumbnails (image INTEGER PRIMARY KEY REFERENCES images, type TEXT NOT NULL, data BLOB);"  \
    "CREATE TABLE runs (id INTEGER PRIMARY KEY, started TEXT NOT NULL, seconds REAL, images INTEGER,"        \
    " failed INTEGER, shard TEXT, program TEXT, backend TEXT);"                                              \
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, site INTEGER, unit INTEGER, created TEXT NOT NULL,"         \
    " author TEXT, note TEXT NOT NULL);"                                                                     \
    "CREATE TABLE failures (path TEXT NOT NULL, reason TEXT NOT NULL);"                                      \
    "CREATE TABLE sites (id INTEGER PRIMARY KEY, name TEXT NOT NULL, layout TEXT NOT NULL,"                  \
    " units INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL);"                             \
    "CREATE TABLE units (site INTEGER NOT NULL REFERENCES sites, unit INTEGER NOT NULL, count INTEGER,"      \
    " mean REAL, sd REAL, rms REAL, min REAL, max REAL, positive INTEGER, kurtosis REAL, dead INTEGER,"      \
    " label INTEGER REFERENCES labels, label_hits INTEGER, purity REAL, surprise REAL, label_z REAL,"        \
    " media TEXT, media_count INTEGER, reads INTEGER, score REAL, PRIMARY KEY (site, unit)) WITHOUT ROWID;"  \
    "CREATE TABLE histograms (site INTEGER NOT NULL, unit INTEGER NOT NULL, bins BLOB NOT NULL,"             \
    " PRIMARY KEY (site, unit));"                                                                            \
    "CREATE TABLE examples (site INTEGER NOT NULL, unit INTEGER NOT NULL, kind INTEGER NOT NULL,"            \
    " rank INTEGER NOT NULL, bucket INTEGER, image INTEGER NOT NULL REFERENCES images, value REAL NOT NULL," \
    " peak REAL, y INTEGER, x INTEGER, map BLOB, PRIMARY KEY (site, unit, kind, rank)) WITHOUT ROWID;"       \
    "CREATE TABLE unit_labels (site INTEGER NOT NULL, unit INTEGER NOT NULL, rank INTEGER NOT NULL,"         \
    " label INTEGER NOT NULL REFERENCES labels, mean REAL, z REAL, PRIMARY KEY (site, unit, rank))"          \
    " WITHOUT ROWID;"                                                                                        \
    "CREATE TABLE unit_media (site INTEGER NOT NULL, unit INTEGER NOT NULL, medium INTEGER NOT NULL"         \
    " REFERENCES media, mean REAL, positive INTEGER, z REAL, PRIMARY KEY (site, unit, medium)) WITHOUT "     \
    "ROWID;"                                                                                                 \
    "CREATE TABLE unit_label_media (site INTEGER NOT NULL, unit INTEGER NOT NULL, medium INTEGER NOT NULL"   \
    " REFERENCES media, images INTEGER, mean REAL, positive INTEGER, z REAL,"                                \
    " PRIMARY KEY (site, unit, medium)) WITHOUT ROWID;"                                                      \
    "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL, known INTEGER NOT NULL);"               \
    "CREATE TABLE unit_words (site INTEGER NOT NULL, unit INTEGER NOT NULL, rank INTEGER NOT NULL,"          \
    " word INTEGER NOT NULL REFERENCES words, score REAL, z REAL, significant INTEGER,"                      \
    " PRIMARY KEY (site, unit, rank)) WITHOUT ROWID;"

/* Made by the first picture that is kept: scan does not know it. */
#define SCHEMA_VISUALISATIONS                                                                                 \
    "CREATE TABLE IF NOT EXISTS visualisations (site INTEGER NOT NULL, unit INTEGER NOT NULL,"                \
    " facet TEXT NOT NULL, objective TEXT NOT NULL, settings TEXT NOT NULL, value REAL NOT NULL, path REAL,"  \
    " blocks TEXT, png BLOB NOT NULL, PRIMARY KEY (site, unit, facet));"

/* Made by the first names that are kept (unitnames.c). */
#define SCHEMA_UNIT_NAMES                                                                                      \
    "CREATE TABLE IF NOT EXISTS unit_names (site INTEGER NOT NULL, unit INTEGER NOT NULL, method TEXT NOT NULL," \
    " name TEXT NOT NULL, score REAL, heldout REAL, heldout_z REAL, auc REAL, template TEXT, words INTEGER,"   \
    " pictures INTEGER, created TEXT NOT NULL, PRIMARY KEY (site, unit, method)) WITHOUT ROWID;"
/* Made by the first result of cn_study_multimodal that is kept (modality.c). */
#define SCHEMA_MULTIMODAL                                                                                      \
    "CREATE TABLE IF NOT EXISTS multimodal (site INTEGER NOT NULL, unit INTEGER NOT NULL, rank INTEGER NOT NULL," \
    " concept TEXT NOT NULL, family TEXT, sensitive INTEGER, multimodal INTEGER, score REAL, p REAL, q REAL,"  \
    " level REAL, base_rate REAL, media TEXT, created TEXT NOT NULL, PRIMARY KEY (site, unit, rank)) WITHOUT ROWID;"
/* The same of families (modality.c), of the classes of a kept probe and of units that read (served.c). */
#define SCHEMA_UNIT_FAMILIES                                                                                   \
    "CREATE TABLE IF NOT EXISTS unit_families (site INTEGER NOT NULL, unit INTEGER NOT NULL, family TEXT NOT NULL," \
    " sensitive INTEGER, belongs INTEGER, auc REAL, low REAL, high REAL, q REAL, concepts INTEGER, base_rate REAL," \
    " created TEXT NOT NULL, PRIMARY KEY (site, unit)) WITHOUT ROWID;"
#define SCHEMA_UNIT_CLASSES                                                                                    \
    "CREATE TABLE IF NOT EXISTS unit_classes (site INTEGER NOT NULL, unit INTEGER NOT NULL, rank INTEGER NOT NULL," \
    " class TEXT NOT NULL, weight REAL NOT NULL, share REAL, field TEXT, created TEXT NOT NULL,"               \
    " PRIMARY KEY (site, unit, rank)) WITHOUT ROWID;"
#define SCHEMA_READERS                                                                                         \
    "CREATE TABLE IF NOT EXISTS readers (site INTEGER NOT NULL, unit INTEGER NOT NULL, rank INTEGER NOT NULL,"  \
    " push REAL NOT NULL, low REAL, high REAL, response REAL, created TEXT NOT NULL, PRIMARY KEY (site, unit)) WITHOUT ROWID;"
/* Made by the first answer of a rater. */
#define SCHEMA_RATINGS                                                                                        \
    "CREATE TABLE IF NOT EXISTS rating_categories (site INTEGER NOT NULL, unit INTEGER NOT NULL,"             \
    " rank INTEGER NOT NULL, category TEXT NOT NULL, PRIMARY KEY (site, unit, rank)) WITHOUT ROWID;"          \
    "CREATE TABLE IF NOT EXISTS ratings (site INTEGER NOT NULL, unit INTEGER NOT NULL,"                       \
    " image INTEGER NOT NULL, rater TEXT NOT NULL, category TEXT NOT NULL, created TEXT NOT NULL,"            \
    " PRIMARY KEY (site, unit, rater, image)) WITHOUT ROWID;"

/* Of pictures with the same bytes, all but the first. */
#define SCHEMA_DUPLICATES                                                                                    \
    "CREATE INDEX images_by_digest ON images (digest);"                                                      \
    "UPDATE images SET same_as = (SELECT min(id) FROM images AS i WHERE i.digest = images.digest)"           \
    " WHERE (SELECT min(id) FROM images AS i WHERE i.digest = images.digest) < id;"

#define SCHEMA_INDEXES                                    \
    "CREATE INDEX fields_by_value ON fields (field, value);"                              \
    "CREATE INDEX images_by_label ON images (label);"                                     \
    "CREATE INDEX images_by_path ON images (path);"                                       \
    "CREATE INDEX images_by_same ON images (same_as) WHERE same_as IS NOT NULL;"          \
    "CREATE INDEX examples_by_image ON examples (image);"                                 \
    "CREATE INDEX units_by_score ON units (site, score DESC);"

#endif
