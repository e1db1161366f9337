// How a demo talks: numbered headings, sentences, commands with what they print.
import { styleText } from 'node:util';

let headings = 0;

export function heading(text) {
  headings += 1;
  console.log(`\n${styleText('bold', `${headings}. ${text}`)}`);
}

export function say(text) {
  console.log(`   ${text}`);
}

/** A command as somebody types it; `prompt` ends in `$` or `#`. */
export function sayCommand(command, prompt = '$') {
  say(styleText('cyan', `${prompt} ${command}`));
}

/** What a command printed. */
export function sayOutput(output) {
  for (const line of output.trimEnd().split('\n')) if (line !== '') say(`  ${line}`);
}
