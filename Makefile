# Sekimori: make, make run, make demo, make check. See README.md.

# Else the first rule below would be it, config.mk.
.DEFAULT_GOAL := all

BUILD   ?= build
# BOARD=small takes board/small/defconfig; else .config of make menuconfig is taken, else board/host/defconfig.
BOARD   ?=
CONFIG  ?= $(if $(BOARD),board/$(BOARD)/defconfig,$(firstword $(wildcard .config) board/host/defconfig))
CROSS_COMPILE ?=
ifneq ($(CROSS_COMPILE),)
CC      := $(CROSS_COMPILE)gcc
AR      := $(CROSS_COMPILE)ar
STRIP   := $(CROSS_COMPILE)strip
endif
# mbedTLS and inih of another machine or libc: LIBRARIES/include and LIBRARIES/lib; see board/debian/libraries.
LIBRARIES ?=
CC      ?= cc
AR      ?= ar
STRIP   ?= strip
# Packages for routers are built with -Os (0.2 MiB less of memory, too); this takes a tenth more mail a second. A debugger has its own tables;
# nothing else unwinds. What is bound at the start, helper processes share.
CFLAGS  ?= -O2 -g -fno-asynchronous-unwind-tables
LDFLAGS ?= -Wl,-z,now
PYTHON  ?= /usr/bin/python3
VERSION := 0.1.0

# V=1 shows the commands.
ifeq ($(V),)
Q = @echo "  $(@:$(BUILD)/%=%)";
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith -Wundef \
	-Wformat=2 -Wconversion -Wno-sign-conversion
# See base/clock.h: before when a clock is certainly wrong.
FLOOR := $(if $(SOURCE_DATE_EPOCH),-DCLOCK_FLOOR='INT64_C($(SOURCE_DATE_EPOCH))')
FLAGS := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -DSEKIMORI_VERSION='"$(VERSION)"' $(FLOOR) -Isrc -include $(BUILD)/config.h $(WARN) $(CFLAGS) $(EXTRA_CFLAGS)
# Where size counts, gcc is told what else makes it less here: some 2 % of the program.
ifneq ($(filter -Os,$(CFLAGS)),)
ifneq ($(findstring clang,$(CC)),clang)
FLAGS += -fno-inline-functions-called-once -fno-move-loop-invariants -flto-partition=one
endif
endif
LIBS  = $(LIBRARIES:%=-L%/lib) $(if $(CONFIG_TLS),-lmbedtls -lmbedx509) -lmbedcrypto -linih
ifneq ($(LIBRARIES),)
FLAGS += -isystem $(LIBRARIES)/include
endif

# A feature that is left out leaves its files out, and their tests.
FILES_CRAM_MD5      := src/trust/cram.c
FILES_LOCKOUT       := src/trust/lockout.c
FILES_PASSWD        := src/manager/passwd.c src/manager/accounts.c src/trust/edit.c
FILES_TRUST_COMMAND := src/manager/trustcmd.c
FILES_VERIFY_COMMAND := src/manager/verify.c src/manager/newkey.c
FILES_TLS           := src/net/tls.c src/net/tls_bundle.c src/net/tls_context.c src/net/tls_reason.c src/net/tls_session.c src/net/tls_verify.c
FILES_SCRAM         := src/smtp/proof_scram.c src/relay/prove.c
FILES_XOAUTH2       := src/relay/token.c src/net/program.c
FILES_CREDENTIALS_SENDER := src/manager/logins.c
FILES_CREDENTIALS_CLIENT := src/relay/vouch.c src/relay/wallet.c src/relay/missing.c
FILES_POP_BEFORE_SMTP := src/relay/pop.c src/smtp/pop3.c src/manager/pop.c src/relay/probe_pop.c
FILES_DIRECT        := src/ingest/direct.c src/ingest/passage.c src/relay/direct.c src/relay/answer.c
FILES_STAMP         := src/mail/stamp.c src/ingest/stamping.c src/trust/keyring.c
FILES_SENDMAIL      := src/manager/sendmail.c src/manager/submission.c src/manager/letter.c src/manager/local.c src/mail/list.c
FILES_RETURN_JA     := src/mail/words_ja.c
FILES_ALARM_MAIL    := src/manager/notify.c
FILES_CHANGES       := src/manager/changes.c src/manager/said.c
FILES_SUMMARY       := src/manager/summary.c
FILES_METRICS       := src/manager/metrics.c
FILES_FAST_CRC      := src/base/crc32_fast.c
FILES_PROBE         := src/manager/probecmd.c src/relay/probe.c src/relay/probe_pop.c src/relay/wire.c src/relay/advice.c
FILES_FORWARD       := src/manager/forward.c src/manager/place.c
FILES_AGENTS        := $(wildcard src/manager/agents.c src/manager/agents_*.c)
FILES_AUDIT         := src/manager/audit.c src/manager/chain.c src/manager/mend.c src/manager/resume.c src/manager/rotation.c \
	src/manager/logcmd.c src/manager/logcheck.c src/manager/search.c src/manager/show.c src/manager/when.c src/manager/lines.c
# Tests of left-out files that aren't named after them.
TESTS_SCRAM         := dialog/client-scram.txt
TESTS_XOAUTH2       := fuzz/fuzz_token
TESTS_POP_BEFORE_SMTP := fuzz/fuzz_pop3 dialog/run_pop3
TESTS_STAMP         := fuzz/fuzz_stamp

ifeq ($(filter clean menuconfig,$(MAKECMDGOALS)),)
include $(BUILD)/config.mk
endif
LEFT_OUT_FILES := $(foreach feature,$(LEFT_OUT),$(FILES_$(feature))) \
	$(if $(filter FORWARD,$(LEFT_OUT)),$(if $(filter AGENTS,$(LEFT_OUT)),src/manager/reader.c src/base/syslog.c src/manager/boxes.c)) \
	$(if $(filter PASSWD,$(LEFT_OUT)),$(if $(filter VERIFY_COMMAND,$(LEFT_OUT)),src/manager/replace.c))
# As they lie in the build directory.
LEFT_OUT_TESTS := $(foreach file,$(LEFT_OUT_FILES),unit/test_$(subst /,_,$(file:src/%.c=%))) \
	$(foreach feature,$(LEFT_OUT),$(TESTS_$(feature))) \
	$(if $(filter FORWARD,$(LEFT_OUT)),$(if $(filter AGENTS,$(LEFT_OUT)),fuzz/fuzz_syslog))

SRC     := $(filter-out $(LEFT_OUT_FILES),$(wildcard src/*.c src/*/*.c))
OBJ     := $(SRC:%.c=$(BUILD)/%.o)
ROOMS   := $(filter-out $(BUILD)/src/main.o,$(OBJ))
# Programs of tests/WHAT/PATTERN.c.
programs = $(addprefix $(BUILD)/,$(filter-out $(LEFT_OUT_TESTS),$(patsubst tests/%.c,%,$(wildcard tests/$(1).c))))
UNIT    := $(call programs,unit/test_*) $(call programs,fault/test_*)
DIALOG  := $(call programs,dialog/run*)
REPLAY  := $(call programs,fuzz/fuzz_*)
FUZZ    := $(notdir $(REPLAY))
JUDGE   := $(BUILD)/judge/verdicts

.PHONY: menuconfig
$(BUILD)/config.mk: Kconfig $(CONFIG) board/config
	@mkdir -p $(@D)
	@sh board/config make Kconfig $(CONFIG) > $@.new
	@mv $@.new $@

# Left alone when nothing in it changes, so that nothing is compiled again.
$(BUILD)/config.h: $(BUILD)/config.mk
	@sh board/config header Kconfig $(CONFIG) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

menuconfig: tools-menuconfig
	@$(PYTHON) -m menuconfig Kconfig

.PHONY: install uninstall size
.PHONY: all run demo check boot-test quick tests tools fuzz lint bench clean
all: tools-build
	@$(MAKE) --no-print-directory $(BUILD)/sekimori

# Only what is missing is installed; nothing is done where all is there.
.PHONY: tools-build tools-run tools-check tools-boot tools-bench tools-menuconfig
tools-build tools-run tools-check tools-boot tools-bench tools-menuconfig: tools-%:
	@sh board/debian/needs $*

$(BUILD)/sekimori: $(OBJ)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $(OBJ) $(LIBS)

$(BUILD)/src/%.o: src/%.c $(BUILD)/config.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -MMD -MP -c -o $@ $<

# The rooms as an archive, so that a test links only what it uses.
$(BUILD)/rooms.a: $(ROOMS)
	@rm -f $@
	$(Q)$(AR) rc $@ $(ROOMS)

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/rooms.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/rooms.a -lcmocka $(LIBS)

$(BUILD)/fault/%: tests/fault/%.c $(BUILD)/rooms.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/rooms.a -lcmocka $(LIBS)

$(BUILD)/dialog/%: tests/dialog/%.c tests/dialog/script.c tests/dialog/exchange.c $(BUILD)/rooms.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -Itests/dialog -MMD -MP -o $@ $< tests/dialog/script.c tests/dialog/exchange.c $(BUILD)/rooms.a $(LIBS)

# A fuzz target with a main of its own, that replays files: seeds and past crashes, with any compiler.
$(BUILD)/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(BUILD)/rooms.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -MMD -MP -o $@ $< tests/fuzz/replay.c $(BUILD)/rooms.a $(LIBS)

# What tests/integ compares with other readers of mail.
$(BUILD)/judge/%: tests/judge/%.c $(BUILD)/rooms.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/rooms.a $(LIBS)

tests: $(BUILD)/sekimori $(UNIT) $(DIALOG) $(REPLAY) $(JUDGE)
	@printf '%s\n' $(LEFT_OUT_TESTS) > $(BUILD)/left-out-tests

run: tools-run
	@$(MAKE) --no-print-directory $(BUILD)/sekimori
	@BUILD=$(BUILD) PYTHON=$(PYTHON) sh board/debian/try run

demo: tools-run
	@$(MAKE) --no-print-directory $(BUILD)/sekimori
	@BUILD=$(BUILD) PYTHON=$(PYTHON) sh board/debian/try demo

check: tools-check
	@BUILD=$(BUILD) PYTHON=$(PYTHON) MAKE="$(MAKE)" sh tests/check all

# Unit tests and dialogues with one compiler: seconds.
quick: tests
	@BUILD=$(BUILD) sh tests/check units $(BUILD)

# Power on a small router with the gate on it, in qemu: mail, idle figures, power cuts.
boot-test: tools-boot
	@$(MAKE) --no-print-directory $(BUILD)/sekimori
	@BUILD=$(BUILD) PYTHON=$(PYTHON) sh tests/check boot

# An hour's hunt, or as long as SECONDS says, per target; new crashes go to tests/fuzz/seeds.
fuzz: tools-check
	@BUILD=$(BUILD) sh tests/fuzz/hunt $(FUZZ)

# Beside Postfix, OpenSMTPD and Exim; BENCH='--quick', '--rounds N', '--only FIGURE' or '--beside PEER'. Needs root; the peers are kept in
# /var/tmp/sekimori-bench, or where BENCH_CACHE says.
bench: tools-bench
	@$(MAKE) --no-print-directory $(BUILD)/sekimori
	@SEKIMORI=$(BUILD)/sekimori $(PYTHON) tests/bench/compare.py $(BENCH)

# What is installed where: INIT=systemd, procd or none. A configuration stays at uninstall.
DESTDIR ?=
PREFIX  ?= /usr
INIT    ?= $(if $(wildcard /run/systemd/system /usr/lib/systemd/system),systemd,none)
INSTALL ?= install
INIT_systemd := usr/lib/systemd/system/sekimori.service usr/lib/sysusers.d/sekimori.conf usr/lib/tmpfiles.d/sekimori.conf \
	etc/fail2ban/filter.d/sekimori.conf etc/fail2ban/jail.d/sekimori.conf
INIT_procd   := etc/init.d/sekimori lib/upgrade/keep.d/sekimori
MANUAL       := man8/sekimori.8 man8/sekimori-sendmail.8 man5/sekimori.ini.5
GUIDE        := $(patsubst rootfs/usr/share/%,%,$(wildcard rootfs/usr/share/doc/sekimori/*.md))

install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)/etc $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	$(INSTALL) -m 755 $(BUILD)/sekimori $(DESTDIR)$(PREFIX)/sbin/sekimori
	@# A configuration that is there stays; ours is put beside it.
	$(INSTALL) -m 640 rootfs/etc/sekimori.ini $(DESTDIR)/etc/sekimori.ini$(if $(wildcard $(DESTDIR)/etc/sekimori.ini),.new)
	for page in $(MANUAL); do $(INSTALL) -m 644 rootfs/usr/share/man/$$page $(DESTDIR)$(PREFIX)/share/man/$$page; done
	for file in $(GUIDE); do $(INSTALL) -D -m 644 rootfs/usr/share/$$file $(DESTDIR)$(PREFIX)/share/$$file; done
	@# Services call the program where it is.
	for file in $(INIT_$(INIT)); do \
		sed 's,/usr/sbin/sekimori,$(PREFIX)/sbin/sekimori,g' rootfs/$$file > $(BUILD)/installed && \
		$(INSTALL) -D -m $$(test -x rootfs/$$file && echo 755 || echo 644) $(BUILD)/installed $(DESTDIR)/$$file || exit; \
	done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/sekimori $(MANUAL:%=$(DESTDIR)$(PREFIX)/share/man/%) $(GUIDE:%=$(DESTDIR)$(PREFIX)/share/%) $(INIT_$(INIT):%=$(DESTDIR)/%)

# What OpenWrt installs, made without its SDK; TARGET as board/openwrt/package lists them. Its own feed is board/openwrt.
.PHONY: ipk apk
ipk apk:
	@BUILD=$(BUILD) MAKE="$(MAKE)" CROSS_COMPILE=$(CROSS_COMPILE) LIBRARIES=$(LIBRARIES) sh board/openwrt/package $@ "$(TARGET)"

# What the program takes, and what each feature adds: -Os for TARGET (default: a router's little-endian MIPS); `write` puts it
# into Kconfig. See board/size.
size:
	@sh board/size $(TARGET)

lint: tools-check
	@sh tests/lint

clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d)
-include $(wildcard $(BUILD)/unit/*.d $(BUILD)/fault/*.d $(BUILD)/dialog/*.d $(BUILD)/fuzz/*.d $(BUILD)/judge/*.d)
