// Plays three pages at once in a real browser until each has ended or failed; prints what each of them saw as JSON.
import {createRequire} from 'node:module';

const [modules, chromium, base, seconds] = process.argv.slice(2);
const {chromium: browsers} = createRequire(`${modules}/`)('playwright-core');
const browser = await browsers.launch({
  executablePath: chromium,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required'],
});
const play = async (mode) => {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${base}/page?mode=${mode}`);
  const until = Date.now() + Number(seconds) * 1000;
  let seen;
  do {
    await page.waitForTimeout(500);
    seen = await page.evaluate(() => ({...window.seen, time: document.querySelector('video').currentTime}));
  } while (!seen.ended && !seen.fatal && Date.now() < until);
  return [mode, seen];
};
try {
  console.log(JSON.stringify(Object.fromEntries(await Promise.all(['path', 'cookie', 'none'].map(play)))));
} finally {
  await browser.close();
}
