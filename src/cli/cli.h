// The command line as main() calls it: finds the verb, reads its options, runs it, returns the exit
// status.
#pragma once

int cli_main(int argc, char **argv);
