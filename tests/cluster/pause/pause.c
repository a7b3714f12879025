/* Process 1 of every pod: holds the pod's namespaces open, buries the dead that are handed to it, and ends when told to. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int main(void) {
	sigset_t heard;
	int which;
	sigemptyset(&heard);
	sigaddset(&heard, SIGTERM);
	sigaddset(&heard, SIGINT);
	sigaddset(&heard, SIGCHLD);
	sigprocmask(SIG_BLOCK, &heard, NULL);
	while (sigwait(&heard, &which) == 0 && which == SIGCHLD)
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	return 0;
}
