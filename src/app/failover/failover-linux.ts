/** keepalived (VRRP version 3) or ucarp, and conntrackd. Source: keepalived.conf(5), ucarp(8), conntrackd.conf(5). */
import type { PlannedFile } from '../init/planned-file.js'
import { isUcarp, type SharedAddress } from './failover-description.js'
import { type NodePlan, type PlanInput, pullSteps } from './node-plan.js'

const NOTIFY = '/usr/local/sbin/spamd-failover-notify'
const CONNTRACKD = '/etc/conntrackd/conntrackd.conf'

/**
 * Files for the program that manages the shared addresses, and for conntrackd, which transfers the states.
 */
export function linuxPlan(input: PlanInput): NodePlan {
  const isUsingUcarp = isUcarp(input.plan)
  const own = isUsingUcarp ? ucarpFiles(input) : [keepalivedFile(input)]
  const units = isUsingUcarp ? input.plan.shared.map(unitName).join(' ') : 'keepalived.service'
  return {
    files: [...own, notifyScript(), conntrackdFile(input), ...input.pulls.files],
    steps: [
      ...pullSteps(input),
      `apt-get install ${isUsingUcarp ? 'ucarp' : 'keepalived'} conntrackd`,
      ...(isUsingUcarp ? ['systemctl daemon-reload'] : ['keepalived --config-test']),
      `systemctl enable --now conntrackd.service ${units}`,
      `ip address show ${input.plan.outside}    # the shared address is on one node only`,
    ],
  }
}

function keepalivedFile({ plan, node }: PlanInput): PlannedFile {
  const instances = plan.shared.flatMap((shared) => [
    { name: instanceName(shared, 4), shared, address: shared.address },
    ...(shared.address6 === undefined
      ? []
      : [{ name: instanceName(shared, 6), shared, address: shared.address6 }]),
  ])
  const text = [
    '# Written by "spamdctl failover plan".',
    'global_defs {',
    `    router_id ${node.name}`,
    '    vrrp_version 3',
    '    enable_script_security',
    '    script_user root',
    '}',
    '',
    '# All shared addresses move together.',
    'vrrp_sync_group spamd {',
    '    group {',
    ...instances.map(({ name }) => `        ${name}`),
    '    }',
    `    notify_master "${NOTIFY} master"`,
    `    notify_backup "${NOTIFY} backup"`,
    `    notify_fault "${NOTIFY} fault"`,
    '}',
    ...instances.flatMap(({ name, shared, address }) => [
      '',
      `vrrp_instance ${name} {`,
      '    state BACKUP',
      ...(node.preempt ? [] : ['    nopreempt']),
      `    interface ${shared.interfaceName}`,
      `    virtual_router_id ${shared.vhid}`,
      // VRRP prefers the higher priority, CARP the lower skew; 255 is for the owner of the address, 0 means
      // "I am leaving".
      `    priority ${Math.max(1, 254 - node.advskew)}`,
      '    advert_int 1',
      '    virtual_ipaddress {',
      `        ${address} dev ${shared.interfaceName}`,
      '    }',
      '}',
    ]),
    '',
  ].join('\n')
  return {
    path: '/etc/keepalived/keepalived.conf',
    purpose: 'decides which node holds the shared addresses',
    mode: 0o600,
    content: { kind: 'whole', text },
  }
}

function instanceName({ interfaceName, vhid }: SharedAddress, family: 4 | 6): string {
  return `${interfaceName.replaceAll(/[^A-Za-z0-9]/g, '_')}_${vhid}_v${family}`
}

function unitName({ interfaceName, vhid }: SharedAddress): string {
  return `ucarp-${interfaceName}-${vhid}.service`
}

function ucarpFiles({ plan, node, passphrase }: PlanInput): PlannedFile[] {
  const nodeIndex = plan.nodes.indexOf(node)
  const files: PlannedFile[] = [
    {
      path: '/etc/spamd/ucarp.pass',
      purpose: 'the passphrase, which must not appear in an argument',
      mode: 0o600,
      content: { kind: 'whole', text: `${passphrase}\n` },
    },
  ]
  for (const shared of plan.shared) {
    const { interfaceName, vhid, address, address6 } = shared
    const script = `/usr/local/sbin/ucarp-${interfaceName}-${vhid}`
    files.push({
      path: script,
      purpose: `takes and releases ${address} on ${interfaceName}`,
      mode: 0o755,
      content: { kind: 'whole', text: ucarpScript(address, address6) },
    })
    const options = [
      `--interface=${interfaceName}`,
      `--srcip=${shared.own![nodeIndex]}`,
      `--vhid=${vhid}`,
      '--passfile=/etc/spamd/ucarp.pass',
      `--addr=${address.split('/')[0]}`,
      `--advskew=${node.advskew}`,
      '--advbase=1',
      ...(node.preempt ? ['--preempt'] : []),
      `--upscript=${script}-up`,
      `--downscript=${script}-down`,
    ]
    files.push(
      ...(['up', 'down'] as const).map(
        (direction): PlannedFile => ({
          path: `${script}-${direction}`,
          purpose: `called by ucarp: ${direction}`,
          mode: 0o755,
          content: { kind: 'whole', text: `#!/bin/sh\nexec ${script} ${direction} "$1"\n` },
        }),
      ),
      {
        path: `/etc/systemd/system/${unitName(shared)}`,
        purpose: `CARP for ${address}`,
        mode: 0o644,
        content: {
          kind: 'whole',
          text: [
            '# Written by "spamdctl failover plan".',
            '[Unit]',
            `Description=CARP for ${address} on ${interfaceName}`,
            // A returning master is synchronised before it takes over the address.
            'After=network-online.target spamd-pull.service',
            'Wants=network-online.target',
            '',
            '[Service]',
            `ExecStart=/usr/sbin/ucarp ${options.join(' ')}`,
            'Restart=always',
            'RestartSec=1',
            '',
            '[Install]',
            'WantedBy=multi-user.target',
            '',
          ].join('\n'),
        },
      },
    )
  }
  return files
}

/** ucarp supports only IPv4: its script moves the IPv6 address of the same interface too. */
function ucarpScript(address: string, address6: string | undefined): string {
  return `#!/bin/sh
# Written by "spamdctl failover plan". Called with: up|down INTERFACE
set -u
case $1 in
  up)
    ip address add ${address} dev "$2"
${address6 === undefined ? '' : `    ip -6 address add ${address6} dev "$2" nodad\n`}    ${NOTIFY} master
    ;;
  down)
    ip address del ${address} dev "$2"
${address6 === undefined ? '' : `    ip -6 address del ${address6} dev "$2"\n`}    ${NOTIFY} backup
    ;;
esac
`
}

function notifyScript(): PlannedFile {
  return {
    path: NOTIFY,
    purpose: 'moves connection states to the node that takes over',
    mode: 0o755,
    content: {
      kind: 'whole',
      text: `#!/bin/sh
# Written by "spamdctl failover plan". conntrackd(8): -c commits the other node's states to the kernel, -f flushes
# the caches, -R reads the kernel's table again, -B sends all of it to the other node.
case $1 in
  master)
    conntrackd -C ${CONNTRACKD} -c
    conntrackd -C ${CONNTRACKD} -f
    conntrackd -C ${CONNTRACKD} -R
    conntrackd -C ${CONNTRACKD} -B
    ;;
  backup)
    conntrackd -C ${CONNTRACKD} -t
    conntrackd -C ${CONNTRACKD} -n
    ;;
  fault)
    conntrackd -C ${CONNTRACKD} -t
    ;;
esac
logger -t spamd-failover "this node is now: $1"
`,
    },
  }
}

function conntrackdFile({ plan, node, peer }: PlanInput): PlannedFile {
  const own = node.syncAddress.split('/')[0]
  return {
    path: CONNTRACKD,
    purpose: 'connection states for the other node',
    mode: 0o600,
    content: {
      kind: 'whole',
      text: `# Written by "spamdctl failover plan".
Sync {
    Mode FTFW {
        DisableExternalCache Off
    }
    UDP {
        IPv4_address ${own}
        IPv4_Destination_Address ${peer.syncAddress.split('/')[0]}
        Port 3780
        Interface ${plan.syncInterface}
        SndSocketBuffer 1249280
        RcvSocketBuffer 1249280
        Checksum on
    }
}
General {
    HashSize 32768
    HashLimit 131072
    Syslog on
    LockFile /var/lock/conntrack.lock
    UNIX {
        Path /var/run/conntrackd.ctl
    }
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 8388608
    Filter From Userspace {
        Protocol Accept {
            TCP
        }
        # A connection to spamd itself cannot move: it lives in a process of its node.
        Address Ignore {
            IPv4_address 127.0.0.1
            IPv4_address ${own}
        }
    }
}
`,
    },
  }
}
