/** Whether Linux takes it as the name of a network interface: 1 to 15 bytes, no space, slash or colon (dev_valid_name). */
export function isIfname(text: string): boolean {
  const fits = /^[^\s/:]+$/u.test(text) && Buffer.byteLength(text) <= 15;
  return fits && text !== '.' && text !== '..';
}
