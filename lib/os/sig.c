#include "os/sig.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void asked_for(sigset_t *set) {
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

int sig_open(int *fd, struct err *err) {
	sigset_t set;
	asked_for(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return err_sys(err, "blocking signals");
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(err, "ignoring SIGPIPE");
	int got = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (got < 0)
		return err_sys(err, "signalfd");
	*fd = got;
	return 0;
}

int sig_take(int fd) {
	struct signalfd_siginfo info;
	if (fd < 0 || read(fd, &info, sizeof(info)) != (ssize_t) sizeof(info))
		return 0;
	return (int) info.ssi_signo;
}

void sig_restore(void) {
	static const int all[] = {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGCHLD, SIGQUIT, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		signal(all[i], SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
