/*
 * Lets Exim run unpacked as whoever started it.
 *
 * As scripts/stay-yourself.c does for Postfix, with two more lies that Exim
 * needs: it asks for its groups as well, and for an account that its package
 * would have made. The kernel goes on seeing the caller; nothing gains a right
 * by this.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define ACCOUNT "Debian-exim"
#define NOBODY 65534

/* What Exim believes; each process begins as root, as it would for real. */
static uid_t uid, euid;
static gid_t gid, egid;

uid_t getuid(void) { return uid; }
uid_t geteuid(void) { return euid; }
gid_t getgid(void) { return gid; }
gid_t getegid(void) { return egid; }

int setuid(uid_t u) { uid = euid = u; return 0; }
int seteuid(uid_t u) { euid = u; return 0; }
int setgid(gid_t g) { gid = egid = g; return 0; }
int setegid(gid_t g) { egid = g; return 0; }
int setgroups(size_t n, const gid_t *list) { (void)n; (void)list; return 0; }
int initgroups(const char *user, gid_t group) { (void)user; (void)group; return 0; }

int chown(const char *path, uid_t u, gid_t g) { (void)path; (void)u; (void)g; return 0; }
int lchown(const char *path, uid_t u, gid_t g) { (void)path; (void)u; (void)g; return 0; }
int fchown(int file, uid_t u, gid_t g) { (void)file; (void)u; (void)g; return 0; }

/* Files are the caller's; Exim looks at whose they are, and refuses root's. */
static uid_t caller(void) {
  struct stat own;
  return stat("/proc/self", &own) == 0 && own.st_uid != 0 ? own.st_uid : NOBODY;
}

struct passwd *getpwnam(const char *name) {
  static struct passwd made;
  struct passwd *(*real)(const char *) = (struct passwd *(*)(const char *))dlsym(RTLD_NEXT, "getpwnam");
  struct passwd *found = real(name);
  if (found || strcmp(name, ACCOUNT) != 0) return found;
  made.pw_name = ACCOUNT;
  made.pw_passwd = "x";
  made.pw_gecos = "";
  made.pw_dir = "/";
  made.pw_shell = "/bin/false";
  made.pw_uid = caller();
  made.pw_gid = NOBODY;
  return &made;
}

struct group *getgrnam(const char *name) {
  static struct group made;
  static char *nobody[1];
  struct group *(*real)(const char *) = (struct group *(*)(const char *))dlsym(RTLD_NEXT, "getgrnam");
  struct group *found = real(name);
  if (found || strcmp(name, ACCOUNT) != 0) return found;
  made.gr_name = ACCOUNT;
  made.gr_passwd = "x";
  made.gr_mem = nobody;
  made.gr_gid = NOBODY;
  return &made;
}
