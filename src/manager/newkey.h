/* A new key of the stamp (R17), put on top of its file, from where it seals. */
#ifndef MANAGER_NEWKEY_H
#define MANAGER_NEWKEY_H

/* The exit status of `sekimori verify --new-key`. */
int newkey_run(const char *path);

#endif
