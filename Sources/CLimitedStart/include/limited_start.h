// What runs before the constructors of the libraries that an executable loads; limited_start.c says why. There is nothing to call:
// an executable that depends on this module has it.
#pragma once
