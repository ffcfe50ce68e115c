# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The qcow2 reader authors
# What `make install` installs, and where.

#: install      install into $(DESTDIR)$(PREFIX), or into BINDIR, LIBDIR, INCLUDEDIR, MANDIR, DOCDIR
#: install-nbdkit  install the plugin where nbdkit looks for it, and its manual into MANDIR

BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/libqcow2

INSTALL_DIR = port/install
COMPLETION = port/posix/tool/completion
SONAME = libqcow2.so.$(SOVERSION)
LIBRARY = libqcow2.so.$(VERSION)
space := $(subst ,, )

# What a program that uses CMake links with the static library, as a list of CMake.
INSTALL_VALUES = VERSION=$(VERSION) SOVERSION=$(SOVERSION) SONAME=$(SONAME) LIBRARY=$(LIBRARY) \
	LIBDIR=$(LIBDIR) INCLUDEDIR=$(INCLUDEDIR) 'PACKAGES=$(CODEC_PKGS)' \
	'LIBRARIES=$(subst $(space),;,$(strip $(POSIX_LIBS)))'

# Fills the words between at signs of a template in. Always anew, because `make install` may get another
# PREFIX.
$(O)/install/%: $(INSTALL_DIR)/%.in FORCE
	@mkdir -p $(@D)
	$(Q)set --; for value in $(INSTALL_VALUES); do set -- "$$@" -e "s|@$${value%%=*}@|$${value#*=}|"; done; \
		sed "$$@" $< >$@

# A page for each call and for each command. Those that a page of several serves refer to it.
COMMANDS = $(shell sed -n 's/^\.It Cm \([a-z]*\)$$/\1/p' port/posix/tool/qcow2.1)
$(O)/install/man: FORCE
	$(Q)rm -rf $@
	$(Q)sh $(INSTALL_DIR)/man.sh $@/man3
	$(Q)mkdir -p $@/man1 && cp port/posix/tool/qcow2.1 $@/man1
	$(Q)for command in $(COMMANDS); do echo '.so man1/qcow2.1' >$@/man1/qcow2-$$command.1; done

INSTALLED = $(addprefix $(O)/install/,libqcow2.pc qcow2-config.cmake qcow2-config-version.cmake man)

install: all $(INSTALLED)
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(LIBDIR)/cmake/qcow2 \
		$(INCLUDEDIR)/qcow2 $(MANDIR)/man1 $(MANDIR)/man3 $(DOCDIR)/examples) \
		$(addprefix $(DESTDIR)$(DATADIR)/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	install $(O)/qcow2 $(DESTDIR)$(BINDIR)
	install -m 644 $(O)/libqcow2.a $(O)/libqcow2-core.a $(DESTDIR)$(LIBDIR)
	install $(O)/$(SONAME) $(DESTDIR)$(LIBDIR)/$(LIBRARY)
	ln -sf $(LIBRARY) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libqcow2.so
	install -m 644 $(O)/install/libqcow2.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(O)/install/*.cmake $(DESTDIR)$(LIBDIR)/cmake/qcow2
	install -m 644 include/qcow2.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 include/qcow2/*.h $(DESTDIR)$(INCLUDEDIR)/qcow2
	install -m 644 $(O)/install/man/man1/* $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(O)/install/man/man3/* $(DESTDIR)$(MANDIR)/man3
	install -m 644 port/examples/* $(DESTDIR)$(DOCDIR)/examples
	install -m 644 $(COMPLETION)/qcow2.bash $(DESTDIR)$(DATADIR)/bash-completion/completions/qcow2
	install -m 644 $(COMPLETION)/qcow2.zsh $(DESTDIR)$(DATADIR)/zsh/site-functions/_qcow2
	install -m 644 $(COMPLETION)/qcow2.fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d

install-nbdkit: nbdkit
	install -d $(DESTDIR)$(NBDKIT_PLUGINDIR) $(DESTDIR)$(MANDIR)/man1
	install $(NBDKIT_PLUGIN) $(DESTDIR)$(NBDKIT_PLUGINDIR)
	install -m 644 port/nbdkit/nbdkit-qcow2-plugin.1 $(DESTDIR)$(MANDIR)/man1

.PHONY: install install-nbdkit
