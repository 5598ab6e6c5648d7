/* study/tablerows.h -- what the writers of tables need beyond clipneuron/ask.h. */
#ifndef STUDY_TABLEROWS_H
#define STUDY_TABLEROWS_H

#include "clipneuron/ask.h"
#include "study/reader.h"

/* What a column is declared to hold; CN_CELL_NULL for expressions. Only tells anything about columns without rows. */
cn_cell_kind rows_declared(const cn_rows *rows, int column);

#endif
