#!/usr/bin/env node
'use strict'
require('./load-program.js').runWithOclif('spamlogd')
