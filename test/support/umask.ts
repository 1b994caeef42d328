/** Before every test file: files that tests make for other users can be read, whatever the shell of the tester says. */
process.umask(0o022)
