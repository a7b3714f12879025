/* A container that does what its arguments say, in their order, for record_causes and real_causes.sh: say TEXT, sleep S, exit N, abort, segv, eat MB, write
 * FILE MB, once FILE WORD ARG (the word only while there is no FILE; makes it), stay, and serve PORT, before which: delay S (does not
 * listen before), busy S (503 before), flap FROM TO (503 between), status N (always), path P (404 elsewhere), silent, die S (a panic then).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int delay, busy, flap_from, flap_to, status = 200, is_silent, die;
static const char *path;

static void fail(const char *what) {
	fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_alarm(int sig) {
	static const char text[] = "panic: runtime error: invalid memory address or nil pointer dereference\n\ngoroutine 1 "
				   "[running]:\nmain.main()\n\t/src/main.go:12 +0x1d\n";
	(void) sig;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(3);
	_exit(2);
}

static void on_term(int sig) {
	(void) sig;
	_exit(143); /* as process 1 it would not hear it */
}

static void eat(int mb) {
	for (int i = 0; i < mb; i++) {
		char *block = malloc(1 << 20);
		if (!block)
			fail("malloc");
		memset(block, i + 1, 1 << 20);
	}
}

static void fill(const char *file, int mb) {
	int fd = open(file, O_WRONLY | O_CREAT, 0644);
	static char block[1 << 20];
	if (fd < 0)
		fail(file);
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < mb; i++)
		if (write(fd, block, sizeof(block)) < 0)
			fail(file);
	close(fd);
}

static void serve(int port) {
	time_t start = time(NULL);
	sleep((unsigned) delay);
	if (die) {
		signal(SIGALRM, on_alarm);
		alarm((unsigned) die);
	}
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short) port)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *) &at, sizeof(at)) != 0 || listen(fd, 64) != 0)
		fail("bind");
	printf("listening on %d\n", port);
	for (;;) {
		int client = accept(fd, NULL, NULL);
		char request[2048] = "", answer[200], asked[512] = "";
		if (client < 0)
			continue;
		if (is_silent)
			continue; /* the descriptor stays open, and nothing is said */
		if (read(client, request, sizeof(request) - 1) > 0)
			sscanf(request, "%*s %511s", asked);
		long now = (long) (time(NULL) - start);
		int code = now < busy || (now >= flap_from && now < flap_to) ? 503 : path && strcmp(path, asked) != 0 ? 404 : status;
		int n = snprintf(answer, sizeof(answer), "HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", code);
		if (write(client, answer, (size_t) n) < 0)
			perror("write");
		close(client);
	}
}

int main(int argc, char **argv) {
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	if (strcmp(argv[0], "sleep") == 0) { /* what images have of that name: for preStop */
		sleep((unsigned) atoi(argc > 1 ? argv[1] : "0"));
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *arg = i + 1 < argc ? argv[i + 1] : "";
		int n = atoi(arg);
		if (!strcmp(word, "stay"))
			for (;;)
				pause();
		else if (!strcmp(word, "silent"))
			is_silent = 1;
		else if (!strcmp(word, "abort"))
			abort();
		else if (!strcmp(word, "segv"))
			*(volatile int *) 0 = 1; /* as process 1 it would not hear a signal that it sends itself */
		else {
			i++;
			if (!strcmp(word, "say"))
				fprintf(stderr, "%s\n", arg);
			else if (!strcmp(word, "sleep"))
				sleep((unsigned) n);
			else if (!strcmp(word, "exit"))
				exit(n);
			else if (!strcmp(word, "eat"))
				eat(n);
			else if (!strcmp(word, "write"))
				fill(arg, i + 1 < argc ? atoi(argv[++i]) : 1);
			else if (!strcmp(word, "once")) {
				int fd = open(arg, O_WRONLY | O_CREAT | O_EXCL, 0644);
				if (fd < 0)
					i += 2;
				else
					close(fd);
			} else if (!strcmp(word, "delay"))
				delay = n;
			else if (!strcmp(word, "busy"))
				busy = n;
			else if (!strcmp(word, "status"))
				status = n;
			else if (!strcmp(word, "path"))
				path = arg;
			else if (!strcmp(word, "die"))
				die = n;
			else if (!strcmp(word, "flap")) {
				flap_from = n;
				flap_to = i + 1 < argc ? atoi(argv[++i]) : 0;
			} else if (!strcmp(word, "serve"))
				serve(n);
			else {
				fprintf(stderr, "actor: no such word: %s\n", word);
				return 2;
			}
		}
	}
	return 0;
}
