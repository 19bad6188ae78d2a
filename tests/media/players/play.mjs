// Plays previews in real players, each in a page of its own, all at once; prints what each of them saw as JSON.
//
//   node play.mjs MODULES CHROMIUM TREE SCENARIOS
//
// MODULES has the players in its node_modules, TREE is served on a free port of this machine, and SCENARIOS is a JSON list
// of {player: hls|shaka|dashjs, playlist, codec?, seeks, switches, text?, languages?}.
import {createReadStream, readFileSync, statSync} from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {extname, join, normalize, sep} from 'node:path';

const [modules, chromium, tree, wanted] = process.argv.slice(2);
const {chromium: browsers} = createRequire(`${modules}/`)('playwright-core');

const LIBRARIES = {
  hls: 'hls.js/dist/hls.min.js',
  shaka: 'shaka-player/dist/shaka-player.compiled.js',
  dashjs: 'dashjs/dist/modern/umd/dash.all.min.js',
};
const TYPES = {
  '.m3u8': 'application/vnd.apple.mpegurl', '.mpd': 'application/dash+xml', '.mp4': 'video/mp4',
  '.m4s': 'video/iso.segment', '.ts': 'video/mp2t', '.vtt': 'text/vtt',
};
const missing = []; // what a player asked for and is not there

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, 'http://host').pathname);
  const library = LIBRARIES[path.slice('/library/'.length)];
  if (path.startsWith('/page')) {
    response.writeHead(200, {'content-type': 'text/html'});
    const name = path.split('/')[2];
    return response.end(`<!doctype html><video muted playsinline width=320></video><script src="/library/${name}"></script>`);
  }
  if (library) {
    response.writeHead(200, {'content-type': 'text/javascript'});
    return response.end(readFileSync(join(modules, 'node_modules', library)));
  }
  const file = normalize(join(tree, path));
  let size;
  try {
    if (!file.startsWith(tree + sep)) throw new Error('outside');
    size = statSync(file).size;
  } catch {
    if (path !== '/favicon.ico') missing.push(path);
    response.writeHead(404);
    return response.end();
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  response.writeHead(range ? 206 : 200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-length': end - start + 1,
    ...(range && {'content-range': `bytes ${start}-${end}/${size}`}),
  });
  createReadStream(file, {start, end}).pipe(response);
});

// Runs in the page.
const perform = async ({player, playlist, codec, seeks, switches, text, languages}) => {
  const video = document.querySelector('video');
  const seen = {errors: [], stalls: [], sizes: [], seeked: 0, texts: [], languages: []};
  const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
  const until = async (what, holds, seconds = 40) => {
    for (const stop = performance.now() + 1000 * seconds; performance.now() < stop; await pause(0.02)) if (holds()) return true;
    seen.errors.push(`not within ${seconds} s: ${what}`);
    return false;
  };
  const moves = (what) => {
    const from = video.currentTime;
    video.play();
    return until(what, () => video.currentTime > from + 0.1 || video.ended);
  };
  const error = (...words) => seen.errors.push(words.join(' '));
  video.addEventListener('error', () => error('media', video.error?.message));

  // What each player calls the same things: its sizes, and how it is told to show one of them.
  let sizes, show, tracks, hear, read;
  if (player === 'hls') {
    const hls = new Hls({startLevel: -1});
    hls.on(Hls.Events.ERROR, (_, data) => error(data.type, data.details, data.error?.message));
    hls.loadSource(playlist);
    hls.attachMedia(video);
    await until('a playlist', () => hls.levels.length > 0);
    sizes = () => hls.levels.map((level, at) => ({at, codec: level.videoCodec ?? '', height: level.height}));
    show = ({at}) => { hls.currentLevel = at; };
    tracks = () => hls.audioTracks.map((track) => track.lang);
    hear = (lang) => { hls.audioTrack = hls.audioTracks.findIndex((track) => track.lang === lang); };
    read = () => { hls.subtitleDisplay = true; hls.subtitleTrack = 0; };
  } else if (player === 'shaka') {
    const shown = new shaka.Player();
    await shown.attach(video);
    if (codec) shown.configure('preferredVideo', [{codec}]);
    shown.addEventListener('error', ({detail}) => error('shaka', detail.code, detail.data));
    try {
      await shown.load(playlist);
    } catch (failure) {
      error('shaka', failure.code, failure.data);
      return seen;
    }
    sizes = () => shown.getVariantTracks().filter((track) => track.active || track.language === shown.getVariantTracks().find((one) => one.active)?.language)
      .map((track) => ({at: track.id, codec: track.videoCodec ?? '', height: track.height}));
    show = ({at}) => {
      shown.configure('abr.enabled', false);
      shown.selectVariantTrack(shown.getVariantTracks().find((track) => track.id === at), true);
    };
    tracks = () => [...new Set(shown.getVariantTracks().map((track) => track.language))];
    hear = (lang) => { const at = tracks().indexOf(lang); at >= 0 && shown.selectAudioTrack(shown.getAudioTracks().find((track) => track.language === lang)); };
    read = () => { shown.selectTextTrack(shown.getTextTracks()[0]); shown.setTextTrackVisibility?.(true); };
  } else {
    const dash = dashjs.MediaPlayer().create();
    dash.on('error', (event) => error('dash.js', event.error?.code, event.error?.message));
    let ready = false;
    dash.on('streamInitialized', () => { ready = true; });
    dash.initialize(video, playlist, false);
    if (!await until('a manifest', () => ready)) return seen;
    const preferred = codec && dash.getTracksFor('video').find((track) => track.codec.includes(codec));
    if (preferred) {
      dash.setCurrentTrack(preferred);
      await until('a track', () => dash.getRepresentationsByType('video')[0]?.codecs?.includes(codec));
    }
    sizes = () => dash.getRepresentationsByType('video').map((one, at) => ({at, codec: one.codecs ?? '', height: one.height}));
    show = ({at}) => {
      dash.updateSettings({streaming: {abr: {autoSwitchBitrate: {video: false}}}});
      dash.setRepresentationForTypeByIndex('video', at, true);
    };
    tracks = () => dash.getTracksFor('audio').map((track) => track.lang);
    hear = (lang) => dash.setCurrentTrack(dash.getTracksFor('audio').find((track) => track.lang === lang));
    read = () => dash.setTextTrack(0);
  }

  // From the start to the end.
  const chosen = sizes().filter((size) => size.codec.includes(codec ?? ''));
  seen.codecs = sizes().map((size) => size.codec);
  if (!chosen.length) {
    error('no picture in', codec);
    return seen;
  }
  if (codec) show(chosen[0]);
  if (text) read();
  let playing = false;
  video.addEventListener('playing', () => { playing = true; });
  const stalled = () => {
    // With film in the buffer it is this machine that cannot keep up, and no fault of the preview.
    let ahead = 0;
    for (let n = 0; n < video.buffered.length; n++) {
      if (video.buffered.start(n) <= video.currentTime) ahead = video.buffered.end(n) - video.currentTime;
    }
    if (playing && !video.ended && ahead < Math.min(0.5, video.duration - video.currentTime - 0.2)) seen.stalls.push(video.currentTime);
  };
  video.addEventListener('waiting', stalled);
  const listening = setInterval(() => {
    for (const track of video.textTracks) {
      for (const cue of track.activeCues ?? []) if (!seen.texts.includes(cue.text)) seen.texts.push(cue.text);
    }
  }, 50);
  await moves('the first picture');
  seen.duration = video.duration;
  await until('the end', () => video.ended, 2 * video.duration + 40);
  video.removeEventListener('waiting', stalled);
  seen.ended = video.ended;
  seen.end = video.currentTime;
  const quality = video.getVideoPlaybackQuality();
  seen.frames = quality.totalVideoFrames;
  seen.dropped = quality.droppedVideoFrames;

  // Ten places, to and fro.
  for (let n = 0; n < seeks; n++) {
    const to = (((n * 7) % seeks) + 0.5) / seeks * (video.duration - 0.5);
    let landed = false;
    video.addEventListener('seeked', () => { landed = true; }, {once: true});
    video.currentTime = to;
    const there = await until(`a seek to ${to}`, () => landed && Math.abs(video.currentTime - to) < 1) && await moves(`on from ${to}`);
    if (there) seen.seeked++;
  }

  // Each size, one after the other.
  if (switches) {
    for (const size of chosen) {
      const shows = () => video.videoHeight === size.height;
      for (let tries = 0; tries < 4 && !shows(); tries++) { // a player may have all in its buffer, and play that first
        video.currentTime = 0;
        show(size);
        for (const stop = performance.now() + 10000; performance.now() < stop && !shows(); await pause(0.02)) {
          if (tries % 2 && video.paused) video.play();
        }
      }
      if (await until(`${size.height} lines`, shows, 1) && await moves(`in ${size.height} lines`)) {
        seen.sizes.push(video.videoHeight);
      }
    }
  }
  if (languages) {
    for (const lang of tracks()) {
      hear(lang);
      const before = video.webkitAudioDecodedByteCount;
      video.currentTime = 0;
      if (await moves(`in ${lang}`) && await until(`sound in ${lang}`, () => video.webkitAudioDecodedByteCount > before)) seen.languages.push(lang);
    }
  }
  clearInterval(listening);
  return seen;
};

await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const base = `http://127.0.0.1:${server.address().port}`;
const browser = await browsers.launch({
  executablePath: chromium,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required',
    '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
  ],
});
const play = async (scenario) => {
  const page = await (await browser.newContext()).newPage();
  const thrown = [];
  page.on('pageerror', (problem) => thrown.push(String(problem)));
  await page.goto(`${base}/page/${scenario.player}`);
  if (scenario.type && !await page.evaluate((type) => MediaSource.isTypeSupported(type), scenario.type)) {
    return {unsupported: scenario.type};
  }
  const seen = await page.evaluate(perform, {...scenario, playlist: `/${scenario.playlist}`});
  return {...seen, thrown, missing};
};
try {
  console.log(JSON.stringify(await Promise.all(JSON.parse(wanted).map(play))));
} finally {
  await browser.close();
  server.close();
}
