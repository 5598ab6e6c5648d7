/* compose/coastline.h -- outlines of land: how many points a ring has, then longitude and latitude of each in tenths of a degree; 0 ends the list. */
#ifndef COMPOSE_COASTLINE_H
#define COMPOSE_COASTLINE_H

#include <stdint.h>

extern const int16_t coastline[];

#endif
