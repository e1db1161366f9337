/** Where daemon and CLI meet unless told otherwise. */
export const DEFAULT_SOCKET = '/run/vswitchd/control.sock';
