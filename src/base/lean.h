/* A daemon that waits for most of its life keeps no more memory than it waits with. */
#ifndef BASE_LEAN_H
#define BASE_LEAN_H

/*
 * Gives back the pages of the program and its libraries, most of which only the start needed; what is needed again comes
 * back by itself, from the page cache. Once, before a long wait.
 */
void lean_code(void);

#endif
