/* program.c - what conformance/gdb debugs: variables, calls, threads, signals, a fork, a program that is executed. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct point { int x, y; };

volatile int counter;
volatile unsigned char bytes[64];
double half = 0.5;
struct point origin = { 3, 4 };

__attribute__((noinline)) int square(int n)
{
	int result = n * n;
	return result;
}

__attribute__((noinline)) int sum_of_squares(int n)
{
	int sum = 0;
	for (int i = 1; i <= n; i++)
		sum += square(i);
	return sum;
}

__attribute__((noinline)) void count(void)
{
	for (int i = 0; i < 5; i++)
		counter += 2;
}

static pthread_barrier_t barrier;

__attribute__((noinline)) void meet(long n)
{
	bytes[n] = n + 1;
}

static void *worker(void *arg)
{
	pthread_barrier_wait(&barrier);
	meet((long)arg);
	return 0;
}

static void handler(int signo)
{
	bytes[40] = signo;
}

__attribute__((noinline)) void child(void)
{
	bytes[50] = 7;
}

int main(int argc, char **argv)
{
	pthread_t threads[3];

	if (argc > 1 && !strcmp(argv[1], "executed")) {
		printf("executed\n");
		return 4;
	}
	printf("sum %d\n", sum_of_squares(4));
	count();
	pthread_barrier_init(&barrier, 0, 3);
	for (long n = 0; n < 3; n++)
		pthread_create(&threads[n], 0, worker, (void *)n);
	for (int n = 0; n < 3; n++)
		pthread_join(threads[n], 0);
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	printf("signal %d\n", bytes[40]);
	fflush(stdout);
	if (fork() == 0) {
		child();
		_exit(bytes[50]);
	}
	int status = 0;
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "spin"))
		for (;;)
			counter++;
	if (argc > 1 && !strcmp(argv[1], "exec"))
		execl(argv[0], argv[0], "executed", (char *)0);
	return 9;
}
