// Six small programs, chosen by name: int (CRC and sieve), fp (matrix product), mem (memcpy), ptr
// (pointer chasing), sys (system calls), fork. Each prints a result that can be compared.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static uint32_t crc(const uint8_t* p, size_t n) {
  uint32_t c = ~0u;
  while (n--) {
    c ^= *p++;
    for (int k = 0; k < 8; k++) c = (c >> 1) ^ (0xEDB88320 & -(c & 1));
  }
  return ~c;
}
int main(int a, char** v) {
  if (!strcmp(v[1], "int")) {
    static uint8_t b[65536];
    for (int i = 0; i < 65536; i++) b[i] = i * 7;
    uint32_t s = 0;
    for (int r = 0; r < 100; r++) s += crc(b, 65536);
    static unsigned char sv[4000000];
    int cnt = 0;
    for (int i = 2; i < 4000000; i++) {
      if (!sv[i]) {
        cnt++;
        for (long j = (long)i * i; j < 4000000; j += i) sv[j] = 1;
      }
    }
    printf("%u %d\n", s, cnt);
  } else if (!strcmp(v[1], "fp")) {
    static double A[200][200], B[200][200], C[200][200];
    for (int i = 0; i < 200; i++)
      for (int j = 0; j < 200; j++) {
        A[i][j] = i + j * .5;
        B[i][j] = i * .25 - j;
      }
    for (int r = 0; r < 16; r++)
      for (int i = 0; i < 200; i++)
        for (int j = 0; j < 200; j++) {
          double s = 0;
          for (int k = 0; k < 200; k++) s += A[i][k] * B[k][j];
          C[i][j] += s;
        }
    printf("%g\n", C[7][9]);
  } else if (!strcmp(v[1], "mem")) {
    char *p = malloc(64 << 20), *q = malloc(64 << 20);
    memset(p, 1, 64 << 20);
    for (int r = 0; r < 10; r++) memcpy(q, p, 64 << 20);
    printf("%d\n", q[99]);
  } else if (!strcmp(v[1], "ptr")) {
    size_t n = 1 << 20;
    uint32_t* p = malloc(n * 4);
    for (size_t i = 0; i < n; i++) p[i] = i;
    uint64_t x = 88172645463325252ull;
    for (size_t i = n - 1; i > 0; i--) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      size_t j = x % i;
      uint32_t t = p[i];
      p[i] = p[j];
      p[j] = t;
    }
    uint32_t c = 0;
    for (int i = 0; i < 20000000; i++) c = p[c];
    printf("%u\n", c);
  } else if (!strcmp(v[1], "sys")) {
    for (int i = 0; i < 1000000; i++) getppid();
  } else if (!strcmp(v[1], "fork")) {
    for (int i = 0; i < 1000; i++) {
      pid_t p = fork();
      if (!p) _exit(0);
      waitpid(p, 0, 0);
    }
  }
}
