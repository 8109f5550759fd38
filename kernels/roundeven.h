/* Round to the nearest integer, ties to even, in the default rounding mode: without SSE 4.1, compilers call the C library for it,
   which does not have it everywhere. */
#pragma once

static inline double goldref_roundeven(double x) {
  /* From 2^52 on, every number is an integer; below, adding it leaves no room for a fraction. */
  const double limit = 0x1p52;
  double magnitude = __builtin_fabs(x);
  if (!(magnitude < limit)) {
    return x;
  }
  return __builtin_copysign((magnitude + limit) - limit, x);
}

#define __builtin_roundeven goldref_roundeven
