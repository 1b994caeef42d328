/** Runs before every test file: other users can read the files that tests make, whatever the umask of the tester. */
process.umask(0o022)
