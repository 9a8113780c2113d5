# Makefile of the atomix extension.
#
# "make", "make install" and "make installcheck" are PGXS and need the
# packages that "make deps" names.  The targets in OUTER start from a bare
# machine: they must work where pg_config does not exist yet, so PGXS is not
# read for them.

OUTER = bench check check-full check-ha check-matrix check-ubsan \
	check-valgrind demo deps fuzz indent mutants

PG_CONFIG ?= pg_config

ifneq (,$(filter $(OUTER),$(MAKECMDGOALS)))

.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:

bench check check-ha check-matrix demo deps indent mutants:
	@tools/$@.sh

check-full:
	@tools/check.sh --full

check-ubsan check-valgrind:
	@tools/check-instrumented.sh $(@:check-%=%)

# Of each target: "make fuzz SECONDS=600".
SECONDS = 60
fuzz:
	@tools/fuzz.sh $(SECONDS)

# Goals of PGXS named beside an outer one, as in "make clean check".
$(filter-out $(OUTER),$(MAKECMDGOALS)):
	@$(MAKE) $@

else

MODULE_big = atomix
EXTENSION = atomix
DATA = $(wildcard atomix--*.sql)
PGFILEDESC = "atomix - sessions and state machines inside the database"
SHLIB_EXPORTS = exports.txt

# C from the protocol files is made at build time and never committed: a
# generated header refuses any other version of the library.
PROTOC_C ?= protoc-c
PROTO_INCLUDE ?= $(or $(shell pkg-config --variable=includedir protobuf 2>/dev/null),/usr/include)
PROTO_FILES := $(shell find proto -name '*.proto' 2>/dev/null | LC_ALL=C sort)
PROTO_WELL_KNOWN := $(addprefix google/protobuf/,any.proto duration.proto timestamp.proto)
PROTO_C := $(PROTO_FILES:proto/%.proto=build/proto/%.pb-c.c) \
	$(PROTO_WELL_KNOWN:%.proto=build/proto/%.pb-c.c)
PROTO_H := $(PROTO_C:.c=.h)

SRC_OBJS := $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
OBJS = $(SRC_OBJS) $(PROTO_C:.c=.o)
DEPS = $(OBJS:.o=.d)

# The server's headers are not clean under these three of -Wextra's warnings.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -MMD -MP
PG_CPPFLAGS = -Isrc -Ibuild/proto
SHLIB_LINK = -lprotobuf-c

# "init" first: it makes what the other regression tests start from.
REGRESS_FILES := $(sort $(basename $(notdir $(wildcard sql/*.sql))))
REGRESS := $(strip $(filter init,$(REGRESS_FILES)) $(filter-out init,$(REGRESS_FILES)))

ISOLATION := $(sort $(basename $(notdir $(wildcard test/isolation/specs/*.spec))))
# They look at rows and their locks; renewals in memory have tests of their own.
installcheck: export PGOPTIONS := -c atomix._renew_in_rows=on $(PGOPTIONS)

ISOLATION_OPTS = --inputdir=test/isolation --load-extension=atomix

PROVE_TESTS := $(wildcard test/t/*.pl)
ifneq (,$(PROVE_TESTS))
TAP_TESTS = 1
endif

EXTRA_CLEAN = build $(DEPS) src/*.d src/*/*.d

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

PG_PROVE_FLAGS += -I $(srcdir)/test/perl

# Every message file may import any other, and there are few of them.
$(PROTO_C) $(PROTO_H): $(PROTO_FILES)

build/proto/google/%.pb-c.c build/proto/google/%.pb-c.h: $(PROTO_INCLUDE)/google/%.proto
	@$(MKDIR_P) build/proto
	$(PROTOC_C) -I$(PROTO_INCLUDE) --c_out=build/proto $<

build/proto/%.pb-c.c build/proto/%.pb-c.h: proto/%.proto
	@$(MKDIR_P) build/proto
	$(PROTOC_C) -Iproto -I$(PROTO_INCLUDE) --c_out=build/proto $<

# A clean tree has no .d files yet, so the first compilation needs to be told
# that the generated headers come before it.
$(OBJS) $(OBJS:.o=.bc): | $(PROTO_H)

# What the generator writes is not ours to keep free of warnings.
$(PROTO_C:.c=.o): override CFLAGS += -w

-include $(DEPS)

# Programs that try inputs on the parsers, built by clang with its sanitizers:
# our sources and what protoc made, beside test/fuzz/shim.c in place of the
# server.
FUZZ_CC ?= clang
FUZZ_FLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_CPPFLAGS = -DUSE_ASSERT_CHECKING=1 -Itest/fuzz $(PG_CPPFLAGS) \
	-isystem $(shell $(PG_CONFIG) --includedir-server) -D_GNU_SOURCE
FUZZ_SRCS = $(addprefix src/base/,base64.c bloom.c codec.c json_number.c \
	json_place.c json_reader.c json_time.c json_writer.c message_types.c nearest.c) \
	test/fuzz/message_input.c test/fuzz/shim.c test/fuzz/shim_jsonb.c $(PROTO_C)
FUZZ_OBJS = $(FUZZ_SRCS:%.c=build/fuzz/%.o)
FUZZ_TARGETS := $(patsubst test/fuzz/fuzz_%.c,build/fuzz/%,$(wildcard test/fuzz/fuzz_*.c))

build/fuzz/build/%.o: build/%.c
	@$(MKDIR_P) $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -w $(FUZZ_CPPFLAGS) -c -o $@ $<

build/fuzz/%.o: %.c | $(PROTO_H)
	@$(MKDIR_P) $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -Wall $(COPT) $(FUZZ_CPPFLAGS) -c -o $@ $<

$(FUZZ_TARGETS): build/fuzz/%: build/fuzz/test/fuzz/fuzz_%.o $(FUZZ_OBJS)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ \
		-L$(shell $(PG_CONFIG) --pkglibdir) -L$(shell $(PG_CONFIG) --libdir) \
		-lpgcommon -lpgport -lprotobuf-c

# Messages as Google's library is told of them.
build/fuzz/descriptors: $(PROTO_FILES)
	@$(MKDIR_P) $(@D)
	protoc -Iproto -I$(PROTO_INCLUDE) --include_imports --descriptor_set_out=$@ \
		$(PROTO_FILES:proto/%=%) $(PROTO_WELL_KNOWN)

.PHONY: fuzzers fuzz-corpus
fuzzers: $(FUZZ_TARGETS) build/fuzz/descriptors

fuzz-corpus: fuzzers
	@test/fuzz/replay.sh
# The client is a world of its own: see client/Makefile.
.PHONY: client client-install client-uninstall client-clean
all: client
install: client-install
uninstall: client-uninstall
clean distclean: client-clean

client:
	@$(MAKE) -C client PG_CONFIG='$(PG_CONFIG)' all

client-install client-uninstall client-clean:
	@$(MAKE) -C client PG_CONFIG='$(PG_CONFIG)' $(@:client-%=%)

.PHONY: lint tidy typedefs
tidy: all
	@PG_CONFIG='$(PG_CONFIG)' tools/tidy.sh

lint: all
	@tools/lint.sh

typedefs: all
	@PG_CONFIG='$(PG_CONFIG)' tools/typedefs.sh

endif
