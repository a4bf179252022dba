/* The operating system's randomness, made a fixed sequence, for the binary `sim` only (build.rs links it there).
 *
 * Hash maps of the standard library and tokio's own generator (the order of select! branches, of the waiters of a
 * watch) are seeded from getrandom(2), and on stable Rust by nothing else. With this in its place a process that runs
 * one simulation is a function of that simulation's seed. SplitMix64; one sequence a thread. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

static __thread uint64_t state = 0x6d657368;

static uint64_t next(void) {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    for (size_t i = 0; i < length; i++) ((unsigned char *)buffer)[i] = (unsigned char)next();
    return (ssize_t)length;
}
