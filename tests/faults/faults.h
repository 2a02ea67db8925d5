/* SPDX-License-Identifier: MIT */
/* faults.h - the fault-injecting build of the library, libcohook-faults.so, in
 * the place of libcohook.so: real calls fail, or do less than they were asked
 * to, at random, as faults.def lists it.
 *
 * For any program:
 *
 *     COHOOK_FAULTS=SEED:RULE[,RULE]...
 *
 * SEED 0 is a new one; RULE is NAME=RATE, of 1000 calls that can have it so
 * many do; NAME is a class, a call, or a call and what befalls it: hidden,
 * recv, recv.SHORT.  Of those that fit, the last counts.  Nothing is printed:
 * a program that wants to know asks, by weak names.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdint.h>

/* cohook_faults - from now on by these rules, and by this seed; "" for none.
 *
 * Returns  0, or -1: a rule is not understood, and none holds. */
int cohook_faults(uint64_t seed, const char *rules) __attribute__((weak));

/* cohook_faults_seed - the one in use. */
uint64_t cohook_faults_seed(void) __attribute__((weak));

/* cohook_faults_count - how many there were, by a rule's NAME; NULL: all. */
uint64_t cohook_faults_count(const char *name) __attribute__((weak));

/* cohook_faults_report - a line for each kind that there was. */
void cohook_faults_report(int fd) __attribute__((weak));

#endif
