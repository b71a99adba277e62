// Opens sessions one after the other through libpq, then holds them until its input ends.
//
//   idle COUNT "CONNECTION STRING"
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: idle COUNT CONNECTION-STRING\n");
        return 64;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    int wanted = atoi(arguments[1]);
    for (int i = 0; i < wanted; i++) {
        PGconn *session = PQconnectdb(arguments[2]);
        if (PQstatus(session) != CONNECTION_OK) {
            fprintf(stderr, "session %d of %d: %s", i + 1, wanted, PQerrorMessage(session));
            return 1;
        }
        PQclear(PQexec(session, "")); // from here on PgBouncer holds a server connection for it
    }
    printf("ready\n");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {}
    _exit(0); // the kernel closes them faster than libpq would
}
