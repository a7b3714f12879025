/* timed FILE command...: runs it, and appends "microseconds user-seconds system-seconds peak-KiB" to FILE, children counted. Exits as it did. The clock runs from
 * the fork to the end alone: a shell and time(1) around it cost 4 ms, a third of what `mlctl render` takes. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) {
	return (double) t.tv_sec + (double) t.tv_usec / 1e6;
}

int main(int count, char **args) {
	struct timespec began, ended;
	struct rusage used;
	int status;
	if (count < 3)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &began);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(args[2], args + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
		return 126;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	FILE *file = fopen(args[1], "a");
	if (!file)
		return 126;
	long us = (ended.tv_sec - began.tv_sec) * 1000000L + (ended.tv_nsec - began.tv_nsec) / 1000;
	fprintf(file, "%ld %.3f %.3f %ld\n", us, seconds(used.ru_utime), seconds(used.ru_stime), used.ru_maxrss);
	if (fclose(file) != 0)
		return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
