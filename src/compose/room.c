/* compose/room.c -- nothing yet. */
typedef int compose_room;
