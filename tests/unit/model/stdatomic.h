/* SPDX-License-Identifier: MIT */
/* stdatomic.h - in the real one's place: each operation is a step that the
 * explorer of model.h may put another thread's in front of. */
#ifndef MODEL_STDATOMIC_H
#define MODEL_STDATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is atomic is said by the operations. */
#define _Atomic

enum model_order {
	memory_order_relaxed,
	memory_order_consume,
	memory_order_acquire,
	memory_order_release,
	memory_order_acq_rel,
	memory_order_seq_cst
};

enum model_change { MODEL_SET, MODEL_ADD, MODEL_OR };

uint64_t model_load(const void *p, size_t size, enum model_order o);
void model_store(void *p, size_t size, uint64_t v, enum model_order o);
uint64_t model_change(void *p, size_t size, enum model_change how, uint64_t v);
bool model_cas(void *p, size_t size, void *expected, uint64_t v);
void model_fence(void);

#define MODEL_TYPE(p) __typeof__(*(p))
/* Not a cast alone: the value may go unused. */
#define MODEL_AS(p, call)                    \
	__extension__({                      \
		uint64_t model_was = (call); \
		(MODEL_TYPE(p)) model_was;   \
	})
#define atomic_load_explicit(p, o) \
	((MODEL_TYPE(p))model_load((p), sizeof(*(p)), (o)))
#define atomic_store_explicit(p, v, o) \
	model_store((p), sizeof(*(p)), (uint64_t)(MODEL_TYPE(p))(v), (o))
#define atomic_exchange_explicit(p, v, o)                      \
	MODEL_AS(p, model_change((p), sizeof(*(p)), MODEL_SET, \
				 (uint64_t)(MODEL_TYPE(p))(v)))
#define atomic_fetch_add_explicit(p, v, o) \
	MODEL_AS(p, model_change((p), sizeof(*(p)), MODEL_ADD, (uint64_t)(v)))
#define atomic_fetch_sub_explicit(p, v, o) \
	MODEL_AS(p, model_change((p), sizeof(*(p)), MODEL_ADD, -(uint64_t)(v)))
#define atomic_fetch_or_explicit(p, v, o) \
	MODEL_AS(p, model_change((p), sizeof(*(p)), MODEL_OR, (uint64_t)(v)))
#define atomic_compare_exchange_strong_explicit(p, e, v, o, o2) \
	model_cas((p), sizeof(*(p)), (e), (uint64_t)(MODEL_TYPE(p))(v))

#define atomic_load(p) atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_exchange(p, v) atomic_exchange_explicit(p, v, 0)
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, 0)
#define atomic_fetch_sub(p, v) atomic_fetch_sub_explicit(p, v, 0)
#define atomic_fetch_or(p, v) atomic_fetch_or_explicit(p, v, 0)
#define atomic_compare_exchange_strong(p, e, v) \
	atomic_compare_exchange_strong_explicit(p, e, v, 0, 0)
#define atomic_compare_exchange_weak atomic_compare_exchange_strong
#define atomic_compare_exchange_weak_explicit \
	atomic_compare_exchange_strong_explicit

#define atomic_thread_fence(o) model_fence()
#define atomic_signal_fence(o) ((void)0)

typedef int atomic_int;

#endif
