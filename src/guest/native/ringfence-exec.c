/*
 * Runs a program so that ioctls which return a descriptor can be served by a file system.
 *
 *     ringfence-exec INSTALLED COMMANDS PROGRAM [ARGUMENT...]
 *
 * A file system cannot put a descriptor into the process that calls it. So the program gets a seccomp filter that
 * holds up the ioctls in COMMANDS and tells this process of them. It fetches the file the call is meant for out of
 * the program (pidfd_getfd), makes the call on it in the program's name (RINGFENCE_CALL), opens what the answer names
 * in the folder INSTALLED, installs that in the program (SECCOMP_IOCTL_NOTIF_ADDFD) and says so (RINGFENCE_PLACED).
 * All other calls never leave the kernel's usual way. Works with static programs, threads and children alike.
 *
 * COMMANDS: hexadecimal, separated by commas; `3ba0@4=5` only where the 32 bits at offset 4 of the argument are 5.
 * Whatever is odd about a call (not our file, memory gone) is left to the kernel to answer.
 *
 * Exit status: the program's; 128 + N if signal N ended it; 126, 127 if it cannot be run. Dies with its parent, and
 * the program dies with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#else
#error "this architecture's calls are not known to ringfence-exec"
#endif

struct ringfence_call {
	uint32_t tid;
	uint32_t command;
	uint64_t argument;
	int32_t result;
	uint32_t token; /* 0: no descriptor */
	uint32_t flags;
	uint32_t unused;
};
#define CLOSE_ON_EXEC 1u
#define RETURNS_NUMBER 2u

struct ringfence_placed {
	uint32_t token;
	int32_t number; /* or -errno */
};

#define RINGFENCE_CALL _IOWR('R', 1, struct ringfence_call)
#define RINGFENCE_PLACED _IOW('R', 2, struct ringfence_placed)

#define MOST_COMMANDS 16
/* The parent asks for this much when it cannot run the program. */
#define CANNOT_RUN 126
#define NOT_FOUND 127

struct command {
	uint32_t number;
	int has_word;
	uint32_t offset;
	uint32_t word;
};

static struct command commands[MOST_COMMANDS];
static int command_count;
static int installed = -1;
static dev_t our_device;
static volatile pid_t program;

static void parse_commands(const char *text)
{
	while (*text && command_count < MOST_COMMANDS) {
		struct command *command = &commands[command_count++];
		char *end;

		command->number = strtoul(text, &end, 16);
		if (*end == '@') {
			command->has_word = 1;
			command->offset = strtoul(end + 1, &end, 10);
			if (*end == '=')
				command->word = strtoul(end + 1, &end, 10);
		}
		text = *end ? end + 1 : end;
	}
}

/* Returns a listener, or -1 with errno. */
static int install_filter(void)
{
	struct sock_filter filter[8 + MOST_COMMANDS];
	struct sock_fprog prog;
	int at = 0, i, listener;

	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, command_count + 3);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, command_count + 1);
	/* The kernel looks at the low 32 bits of the command only. */
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]));
	for (i = 0; i < command_count; i++)
		filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, commands[i].number,
							    command_count - i, 0);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	prog.len = at;
	prog.filter = filter;

	/* Setuid programs keep working where we are allowed to install filters anyway. */
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (listener >= 0 || errno != EACCES)
		return listener;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static void die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CANNOT_RUN);
}

/* What the child says before it becomes the program: the listener's number there (or -errno), then errno of exec. */
static void run_program(int channel, pid_t parent, char **argv)
{
	int listener, error;
	char go;

	die_with_parent(parent);
	listener = install_filter();
	if (listener < 0)
		listener = -errno;
	if (write(channel, &listener, sizeof(listener)) != sizeof(listener) || read(channel, &go, 1) != 1)
		_exit(CANNOT_RUN);
	if (listener >= 0)
		close(listener);
	execvp(argv[0], argv);
	error = errno;
	if (write(channel, &error, sizeof(error)) != sizeof(error))
		_exit(CANNOT_RUN);
	_exit(error == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

/*
 * From the terminal a signal reaches everybody in the foreground, the program too; only what somebody sent us is
 * handed on.
 */
static void hand_on(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (program > 0 && info->si_code <= 0)
		kill(program, signal);
	errno = saved;
}

static void handle_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH };
	struct sigaction action;
	size_t i;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = hand_on;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
}

static int open_thread(pid_t tid)
{
	int fd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);

	/* Kernels before 6.9 know processes only; a thread's table of descriptors is nearly always its process's. */
	if (fd < 0)
		fd = syscall(SYS_pidfd_open, tid, 0);
	return fd;
}

static int read_word(pid_t tid, uint64_t address, uint32_t *word)
{
	struct iovec local = { word, sizeof(*word) };
	struct iovec remote = { (void *)(uintptr_t)address, sizeof(*word) };

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == sizeof(*word);
}

static int concerns_us(const struct seccomp_notif *call)
{
	uint32_t number = call->data.args[1];
	int i;

	for (i = 0; i < command_count; i++) {
		uint32_t word;

		if (commands[i].number != number)
			continue;
		if (!commands[i].has_word)
			return 1;
		return read_word(call->pid, call->data.args[2] + commands[i].offset, &word) &&
		       word == commands[i].word;
	}
	return 0;
}

/* The descriptor's number in the program, or -errno. */
static int place(int listener, uint64_t id, int file, const struct ringfence_call *call)
{
	struct seccomp_notif_addfd addfd;
	struct ringfence_placed placed;
	char name[16];
	int source, number;

	snprintf(name, sizeof(name), "%u", call->token);
	source = openat(installed, name, O_RDWR | O_CLOEXEC);
	if (source < 0) {
		number = -errno;
	} else {
		memset(&addfd, 0, sizeof(addfd));
		addfd.id = id;
		addfd.srcfd = source;
		addfd.newfd_flags = call->flags & CLOSE_ON_EXEC ? O_CLOEXEC : 0;
		number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd);
		if (number < 0)
			number = -errno;
	}
	placed.token = call->token;
	placed.number = number;
	if (ioctl(file, RINGFENCE_PLACED, &placed) && number >= 0)
		number = -errno;
	if (source >= 0)
		close(source);
	return number;
}

/* Fills in the answer to a call on our own file. */
static void make_call(int listener, const struct seccomp_notif *notif, int file, struct seccomp_notif_resp *answer)
{
	struct ringfence_call call;
	int number;

	memset(&call, 0, sizeof(call));
	call.tid = notif->pid;
	call.command = notif->data.args[1];
	call.argument = notif->data.args[2];
	if (ioctl(file, RINGFENCE_CALL, &call)) {
		answer->error = -errno;
		return;
	}
	answer->val = call.result;
	if (!call.token)
		return;
	number = place(listener, notif->id, file, &call);
	if (number < 0) {
		answer->error = number;
		answer->val = 0;
	} else if (call.flags & RETURNS_NUMBER) {
		answer->val = number;
	}
}

static void serve(int listener)
{
	struct seccomp_notif notif;
	struct seccomp_notif_resp answer;
	struct stat status;
	int thread, file = -1;

	memset(&notif, 0, sizeof(notif));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif))
		return; /* whoever called was killed meanwhile */
	memset(&answer, 0, sizeof(answer));
	answer.id = notif.id;
	answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;

	if (concerns_us(&notif)) {
		thread = open_thread(notif.pid);
		if (thread >= 0) {
			file = syscall(SYS_pidfd_getfd, thread, (int)notif.data.args[0], 0);
			close(thread);
		}
	}
	/* The number may be another thread's by now, unless the call still waits. */
	if (file >= 0 && !fstat(file, &status) && status.st_dev == our_device &&
	    !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif.id)) {
		answer.flags = 0;
		make_call(listener, &notif, file, &answer);
	}
	if (file >= 0)
		close(file);
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static int exit_status(void)
{
	int status;

	while (waitpid(program, &status, 0) < 0)
		if (errno != EINTR)
			return CANNOT_RUN;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int follow(int listener, int pidfd)
{
	struct pollfd polled[2] = { { pidfd, POLLIN, 0 }, { listener, POLLIN, 0 } };

	for (;;) {
		if (poll(polled, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return exit_status();
		}
		if (polled[1].revents & POLLIN)
			serve(listener);
		else if (polled[1].revents)
			polled[1].fd = -1; /* nobody is left who has the filter */
		if (polled[0].revents)
			return exit_status();
	}
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "ringfence: %s: %s\n", what, strerror(error));
	return error == ENOENT ? NOT_FOUND : CANNOT_RUN;
}

int main(int argc, char **argv)
{
	int channel[2], listener = -1, number, error, pidfd;
	pid_t self = getpid();
	struct stat status;

	if (argc < 4) {
		fprintf(stderr, "usage: ringfence-exec INSTALLED COMMANDS PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	parse_commands(argv[2]);
	installed = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (installed < 0 || fstat(installed, &status))
		return fail(argv[1], errno);
	our_device = status.st_dev;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel))
		return fail("socketpair", errno);

	program = fork();
	if (program < 0)
		return fail("fork", errno);
	if (program == 0) {
		close(channel[0]);
		close(installed);
		run_program(channel[1], self, argv + 3);
	}
	handle_signals();
	close(channel[1]);
	pidfd = syscall(SYS_pidfd_open, program, 0);
	if (read(channel[0], &number, sizeof(number)) != sizeof(number))
		return exit_status();
	if (number >= 0) {
		listener = syscall(SYS_pidfd_getfd, pidfd, number, 0);
		error = errno;
	} else {
		error = -number;
	}
	if (listener < 0)
		fprintf(stderr, "ringfence: calls that return a descriptor will fail: no seccomp notifications (%s)\n",
			strerror(error));
	if (write(channel[0], "", 1) != 1)
		return exit_status();
	/* Ends without a word when exec succeeds. */
	if (read(channel[0], &error, sizeof(error)) == sizeof(error)) {
		fail(argv[3], error);
		return exit_status();
	}
	close(channel[0]);
	return follow(listener, pidfd);
}
