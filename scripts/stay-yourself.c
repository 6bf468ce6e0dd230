/*
 * Lets Postfix run unpacked as whoever started it.
 *
 * Postfix insists on being started by root, so that each of its daemons can
 * put on the account it should work under. In a test there is one account:
 * that of the person who runs it. Preloaded, this library answers "root" when
 * Postfix asks who it is, and nods when it changes accounts, while the kernel
 * goes on seeing the caller. Nothing gains a right by this; a file the caller
 * cannot open stays shut.
 *
 * Chosen over a user namespace because those are switched off on many
 * machines (containers, recent Ubuntu), and map one account only without a
 * set-uid program.
 *
 * It reaches only processes started with it in LD_PRELOAD, here those of
 * scripts/servers and scripts/postfix-instance.
 */
#include <grp.h>
#include <sys/types.h>
#include <unistd.h>

/* What Postfix believes; each process begins as root, as it would for real. */
static uid_t believed, believed_effective;

uid_t getuid(void) { return believed; }
uid_t geteuid(void) { return believed_effective; }

int setuid(uid_t uid) { believed = believed_effective = uid; return 0; }
int seteuid(uid_t uid) { believed_effective = uid; return 0; }
int setgid(gid_t gid) { (void)gid; return 0; }
int setegid(gid_t gid) { (void)gid; return 0; }
int setgroups(size_t n, const gid_t *list) { (void)n; (void)list; return 0; }
int initgroups(const char *user, gid_t group) { (void)user; (void)group; return 0; }
