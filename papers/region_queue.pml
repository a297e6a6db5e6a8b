/* The queue of region calls (pvops/abi/region_queue.h) as a model, checked by spin in tests/queue/model.sh: one
 * producer, which holds the guest's lock of the space, and two other processors that touch the space's regions. The
 * hypervisor takes what is queued at each access and at each call, under its own lock of the space; every read and
 * write of a shared word is a step of its own, and all orders of them are tried.
 *
 * Properties, each an assertion named by a comment; with -DBREAK=n the protocol is broken so that the nth fails:
 *   1  order: calls are taken in the order in which they were put
 *   2  none is lost, none is done twice
 *   3  what was cancelled is never seen
 *   4  what is paid ahead is enough, whatever memory there is meanwhile; no credit is claimed twice
 *   5  no call is saved that unmaps what is installed, nothing is installed whose call was saved, and the unmap that
 *      is queued instead happens
 *   6  an access to what is promised all the while is never refused
 * 5 is about the words with which an unmap of what nobody has touched needs no exit either (-DHANDSHAKE). There are
 * fewer than regions here, so that one takes another's.
 */
#ifndef BREAK
#define BREAK 0
#endif
#ifndef OPERATIONS
#define OPERATIONS 4
#endif
#ifndef TOUCHES
#define TOUCHES 2
#endif
#ifndef PROCESSORS
#define PROCESSORS 1
#endif
#define SLOTS 2
#define REGIONS 2
#define MOST_IDS (OPERATIONS + 1)
#define START 254 /* all indices wrap */
#define LESS(a, b) (((a) - (b)) & 255)

/* Of a slot. */
#define TAKEN 0
#define LIVE 1
#define CANCELLED 2
#define FILLING 3

/* A word says that what was mapped under a name is untouched, or dying; 0: it says nothing. */
#define WORDS 1
#define DYING 32
#define WORD_OF(name) (region[name] % WORDS)

/* What both sides see. A map is queued under a name of its own, 1 to MOST_IDS, and `region[name]` is what it maps;
 * an unmap is queued as UNMAP + name. */
#define UNMAP 16
byte state[SLOTS], argument[SLOTS];
byte tail = START, cost = START, head = START, limit = START;
byte word[WORDS];

/* The hypervisor's own. */
byte h_head = START, h_cost = START, paid;
byte declared[REGIONS];  /* by which name; 0: not */
byte listed[WORDS];      /* whose word it is; 0: nobody's */
bool h_lock;

/* The guest's own. */
byte region[MOST_IDS + 1];
byte promised[REGIONS];  /* by which name; 0: not */
bool g_lock;
byte names;

/* What happened, for the properties. */
bool put[MOST_IDS + 1], cancelled[MOST_IDS + 1], done[MOST_IDS + 1], saved[MOST_IDS + 1], installed[MOST_IDS + 1];
byte last_taken;

#define LOCK(l) atomic { !l -> l = true }
#define UNLOCK(l) l = false

/* The hypervisor does a call that it took. */
inline perform(what) {
  d_step {
    if
    :: what < UNMAP ->
       assert(!cancelled[what]);                     /* 3 */
       assert(!done[what]);                          /* 2 */
       assert(what > last_taken);                    /* 1 */
       assert(paid != 0);                            /* 4 */
       last_taken = what;
       done[what] = true;
       declared[region[what]] = what;
       paid = paid - 1;
#ifdef HANDSHAKE
       /* It gets its word, unless another's is dying there. */
       if
       :: BREAK == 8 || listed[WORD_OF(what)] == 0 || word[WORD_OF(what)] == listed[WORD_OF(what)] ->
          word[WORD_OF(what)] = what;
          listed[WORD_OF(what)] = what
       :: else
       fi
#endif
    :: else ->
       assert(declared[region[what - UNMAP]] == what - UNMAP); /* 1 */
       assert(listed[WORD_OF(what - UNMAP)] == what - UNMAP);  /* 5 */
       assert(paid != 0);                                      /* 4: it may leave two regions of one */
       declared[region[what - UNMAP]] = 0;
       listed[WORD_OF(what - UNMAP)] = 0;
       word[WORD_OF(what - UNMAP)] = 0;
       paid = paid - 1
    fi;
    h_cost = h_cost + 1
  }
}

/* Precondition: h_lock. */
inline drain(n, seen, s, what) {
  n = 0;
  do
  :: n == SLOTS -> break
  :: else ->
     n = n + 1;
     seen = tail;
     if
     :: seen == h_head -> break
     :: else
     fi;
     s = state[h_head % SLOTS];
     if
     :: s == FILLING -> break
     :: else
     fi;
#if BREAK == 3
     /* Takes what it saw without asking whether it still is. */
     what = argument[h_head % SLOTS];
     state[h_head % SLOTS] = TAKEN;
#else
     atomic {
       if
       :: state[h_head % SLOTS] == s -> state[h_head % SLOTS] = TAKEN
       :: else -> s = FILLING
       fi
     };
     if
     :: s == FILLING ->
#if BREAK == 6
        break;
#endif
        s = state[h_head % SLOTS];
        if
        :: s != CANCELLED -> break
        :: else
        fi;
        atomic {
          if
          :: state[h_head % SLOTS] == s -> state[h_head % SLOTS] = TAKEN
          :: else -> s = FILLING
          fi
        };
        if
        :: s == FILLING -> break
        :: else
        fi
     :: else
     fi;
     what = argument[h_head % SLOTS];
#endif
#if BREAK == 1
     h_head = h_head + 1;
     if
     :: s == LIVE && LESS(tail, h_head) != 0 && state[h_head % SLOTS] == LIVE ->
        /* The one behind it first. */
        seen = argument[h_head % SLOTS];
        state[h_head % SLOTS] = TAKEN;
        h_head = h_head + 1;
        perform(seen)
     :: else
     fi;
#elif BREAK == 2
     /* Told before it is done, by an index that does not move. */
     if
     :: n == SLOTS
     :: else -> h_head = h_head + 1
     fi;
     state[(h_head + SLOTS - 1) % SLOTS] = s;
#else
     h_head = h_head + 1;
#endif
     if
     :: s == CANCELLED
     :: else -> perform(what)
     fi
  od;
  /* Pays for more, as far as there is memory just now. */
  do
  :: paid < SLOTS -> paid = paid + 1
  :: break
  od;
  head = h_head;
  d_step {
#if BREAK != 4
    assert(LESS(h_cost + paid, limit) < 128);       /* 4: a limit is not taken back */
    limit = h_cost + paid
#else
    limit = h_cost + SLOTS
#endif
  }
}

/* The guest queues `what`; `queued`: there was room. Precondition: g_lock. */
inline queue(what, queued, again, free) {
  queued = false;
  again = false;
  free = limit;
  if
  :: LESS(free, cost) != 0 && LESS(free, cost) < 128 ->
     free = LESS(tail, head);
     if
     :: free != 0 ->
        atomic {
          if
          :: state[(tail + SLOTS - 1) % SLOTS] == CANCELLED -> state[(tail + SLOTS - 1) % SLOTS] = FILLING; again = true
          :: else
          fi
        }
     :: else
     fi;
     if
     :: again ->
        argument[(tail + SLOTS - 1) % SLOTS] = what;
        cost = cost + 1;
        state[(tail + SLOTS - 1) % SLOTS] = LIVE;
        queued = true
     :: !again && free < SLOTS ->
        argument[tail % SLOTS] = what;
        cost = cost + 1;
        state[tail % SLOTS] = LIVE;
        tail = tail + 1;
        queued = true
     :: else
     fi
  :: else
  fi
}

/* The map of this name is withdrawn where it is still queued. */
inline cancel(name, gone, index) {
  gone = false;
  index = tail;
  do
  :: index == head || gone -> break
  :: else ->
     index = index - 1;
     if
     :: argument[index % SLOTS] == name ->
        atomic {
          if
          :: state[index % SLOTS] == LIVE ->
             state[index % SLOTS] = CANCELLED;
             cancelled[name] = true;
             assert(!done[name]);                    /* 3 */
             gone = true
          :: else
          fi
        }
     :: else
     fi
  od;
  if
  :: gone -> cost = cost - 1
  :: else
  fi
}

active proctype producer() {
  byte left = OPERATIONS, r, n, seen, s, what, name;
  bool ok, again;
  do
  :: left == 0 -> break
  :: else ->
     left = left - 1;
     select(r : 0 .. REGIONS - 1);
     LOCK(g_lock);
     if
     :: promised[r] == 0 ->
        d_step { names = names + 1; name = names; region[name] = r };
        queue(name, ok, again, n);
        if
        :: ok -> put[name] = true
        :: else -> /* an ordinary call, which pays for itself */
           LOCK(h_lock);
           drain(n, seen, s, what);
           d_step { assert(declared[r] == 0); declared[r] = name; done[name] = true; last_taken = name };
           UNLOCK(h_lock)
        fi;
        promised[r] = name
     :: else ->
        name = promised[r];
        cancel(name, ok, n);
#ifdef HANDSHAKE
        if
        :: !ok ->
           /* It is not queued any more. */
           atomic {
             if
             :: BREAK == 5 || word[WORD_OF(name)] == name ->
                word[WORD_OF(name)] = name + DYING; ok = true
             :: else
             fi
           };
           if
           :: ok ->
              assert(!installed[name]);              /* 5 */
              saved[name] = true;
              queue(UNMAP + name, ok, again, n)
           :: else
           fi
        :: else
        fi;
#endif
        if
        :: ok
        :: else ->
           LOCK(h_lock);
           drain(n, seen, s, what);
           d_step {
             declared[r] = 0;
             if
             :: listed[WORD_OF(name)] == name -> listed[WORD_OF(name)] = 0; word[WORD_OF(name)] = 0
             :: else
             fi
           };
           UNLOCK(h_lock)
        fi;
        promised[r] = 0
     fi;
     UNLOCK(g_lock)
  od;
  /* What is left happens. */
  LOCK(h_lock);
  drain(n, seen, s, what);
  UNLOCK(h_lock);
  d_step {
    n = 1;
    do
    :: n > names -> break
    :: else -> assert(!put[n] || cancelled[n] || done[n]); n = n + 1 /* 2 */
    od;
    n = 0;
    do
    :: n == REGIONS -> break
    :: else -> assert(declared[n] == promised[n]); n = n + 1 /* 2 */
    od
  }
}

/* An access; `ok`: it was allowed. */
inline touch(r, ok, n, seen, s, what) {
  LOCK(h_lock);
  drain(n, seen, s, what);
  ok = false;
  if
  :: declared[r] != 0 ->
     ok = true;
     what = declared[r];
     if
     :: listed[WORD_OF(what)] == what ->
#if BREAK != 7
        atomic {
#endif
          if
          :: word[WORD_OF(what)] == what -> word[WORD_OF(what)] = 0; listed[WORD_OF(what)] = 0
          :: else -> ok = false
          fi
#if BREAK != 7
        }
#endif
     :: else
     fi;
     installed[what] = installed[what] || ok;
     assert(!ok || !saved[what])                     /* 5 */
  :: else
  fi;
  UNLOCK(h_lock)
}

active [PROCESSORS] proctype processor() {
  byte left = TOUCHES, r, n, seen, s, what, before;
  bool ok;
  do
  :: left == 0 -> break
  :: else ->
     left = left - 1;
     select(r : 0 .. REGIONS - 1);
     before = promised[r];
     touch(r, ok, n, seen, s, what);
     if
     :: ok
     :: else ->
        LOCK(g_lock); /* the guest's handler looks at its list */
        assert(before == 0 || promised[r] != before); /* 6 */
        UNLOCK(g_lock)
     fi
  od
}
