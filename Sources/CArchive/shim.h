// What Swift needs of libarchive beyond its headers. Only InteractionData/ArchiveHandle.swift imports this module.
#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdbool.h>

// AE_IFREG is a cast, which the importer cannot see. A link to another member is no file of its own.
static inline bool carchive_is_file(struct archive_entry *entry) {
  return archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL;
}

// libarchive turns names into the locale's encoding, which in a program that sets none is ASCII. Null where there is no such locale.
static inline locale_t carchive_utf8(void) { return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0); }
