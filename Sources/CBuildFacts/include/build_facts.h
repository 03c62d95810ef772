// What is known about a build when it is made, for --version and bug reports.
#pragma once

// The commit, with a + where files differed from it; "unknown" in builds that make did not start.
const char *build_commit(void);

// The compiler's own name and version.
const char *build_compiler(void);
