/** Where daemon and CLI of a user meet unless told otherwise: root's in /run, others' in $XDG_RUNTIME_DIR if there is one. */
export function socketOf(uid: number | undefined, runtimeDirectory: string | undefined): string {
  const isOrdinary = uid !== undefined && uid !== 0 && runtimeDirectory?.startsWith('/') === true;
  return `${isOrdinary ? runtimeDirectory : '/run'}/vswitchd/control.sock`;
}

/** That of whoever runs this. */
export const DEFAULT_SOCKET = socketOf(process.geteuid?.(), process.env.XDG_RUNTIME_DIR);

/** The same for help and manuals, which say it for everybody. */
export const DEFAULT_SOCKET_TEXT =
  '/run/vswitchd/control.sock, without root $XDG_RUNTIME_DIR/vswitchd/control.sock';

/** Where the daemon of a control socket takes TAPs that others made. */
export function handoverSocketOf(socket: string): string {
  return `${socket}.handover`;
}
