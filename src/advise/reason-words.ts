/** A chain of grouping decisions, in sentences. Nothing is decided here: each `Step` becomes one line. */

import type { Reason, Step } from '../iommu/grouping/reason.ts';
import { acsBecause } from './acs-words.ts';

/** Shortens addresses for reading: drops the domain where the whole machine has only domain 0. */
export type Shorten = (address: string) => string;

/** One sentence of a chain, and the devices it speaks of. */
export interface ReasonLine {
  words: string;
  devices: string[];
}

/** One sentence a step, then the outcome. */
export function reasonLines(reason: Reason, shorten: Shorten): ReasonLine[] {
  const lines: ReasonLine[] = [];
  for (const step of reason.steps) {
    const words = stepWords(reason, step, shorten);
    if (words !== undefined) lines.push({ words, devices: stepDevices(step) });
  }
  const through = reason.joined === null ? reason.device : reason.joined.through;
  lines.push({ words: outcomeWords(reason, shorten), devices: [through] });
  for (const assumed of reason.assumed)
    lines.push({ words: `Not certain: ${shortenAll(assumed, shorten)}.`, devices: [] });
  return lines;
}

export function reasonWords(reason: Reason, shorten: Shorten): string[] {
  return reasonLines(reason, shorten).map(({ words }) => words);
}

function stepDevices(step: Step): string[] {
  const found = (() => {
    switch (step.step) {
      case 'alias':
      case 'root-bus':
        return [step.device];
      case 'climb':
        return [step.bridge, step.blockedBy.device];
      case 'isolated-above':
        return [step.bridge, ...step.path.map(({ device }) => device)];
      case 'alias-partner':
        return [step.device, step.partner];
      case 'function':
        return [step.device, ...(step.sibling === undefined ? [] : [step.sibling])];
      case 'usb-companion':
        return [step.device, step.companion];
      case 'number':
        return [step.of];
      case 'bus':
        return step.bridge === undefined ? [] : [step.bridge];
      case 'own':
      case 'instance':
      case 'firmware':
        return [];
    }
  })();
  return [...new Set(found)];
}

/** The step by which a device joined another's group, as one short clause; nothing for one that began its group. */
export function joinWords(reason: Reason, shorten: Shorten): string | undefined {
  if (reason.joined === null) return undefined;
  const through = shorten(reason.joined.through);
  const step = reason.steps.findLast((candidate) => candidate.step === reason.joined?.step);
  switch (step?.step) {
    case 'climb':
      return step.blockedBy.device === step.bridge
        ? `behind ${through}, which does not isolate: ${acsBecause(step.blockedBy)}`
        : `behind ${through}, whose way up does not isolate because of ${shorten(step.blockedBy.device)}: ${acsBecause(step.blockedBy)}`;
    case 'alias':
      return `behind ${through}, under whose requester id its DMA appears`;
    case 'alias-partner':
      return `uses the requester id of ${through}, or ${through} its${quirkWords(step.quirk)}`;
    case 'function':
      return step.device === reason.device
        ? `a function of the device of ${through}, with nothing between them: ${acsBecause(step.own)}`
        : `behind ${shorten(step.device)}, a function of the device of ${through}, with nothing between them: ${acsBecause(step.own)}`;
    case 'bus':
      return `on bus ${step.bus}, ${ISOLATION[step.isolation] ?? step.isolation}, with ${through}`;
    case 'number':
      return `has the group number of ${shorten(step.of)}: ${step.because}`;
    default:
      return `together with ${through}`;
  }
}

/** How the series of 2025 judges a bus. */
const ISOLATION: Record<string, string> = {
  isolated: 'which isolates',
  'pcie-non-isolated': 'whose port does not isolate',
  'pcie-switch-dsp-non-isolated': 'inside a switch of which a downstream port does not isolate',
  'pci-bus-non-isolated': 'a conventional bus, where devices see each other',
  'pci-bridge-non-isolated': 'a conventional bus behind a bridge that is part of it',
};

/** Every full address in a text, as short as addresses are elsewhere. */
function shortenAll(text: string, shorten: Shorten): string {
  return text.replace(/[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/g, shorten);
}

function outcomeWords(reason: Reason, shorten: Shorten): string {
  if (reason.joined === null)
    return 'No group to join was found on the way, so it has one of its own making.';
  const through = shorten(reason.joined.through);
  return through === shorten(reason.device)
    ? 'It had that group already.'
    : `So it joins the group of ${through}.`;
}

function stepWords(reason: Reason, step: Step, shorten: Shorten): string | undefined {
  switch (step.step) {
    case 'alias':
      return aliasWords(reason, step, shorten);
    case 'climb': {
      const blocker = shorten(step.blockedBy.device);
      const bridge = shorten(step.bridge);
      const path =
        blocker === bridge
          ? `${bridge} above it does not isolate what is below`
          : `the path from ${bridge} to the root does not isolate, because of ${blocker}`;
      return `${capital(path)}: ${acsBecause(step.blockedBy)}. Everything below ${bridge} belongs together with it.`;
    }
    case 'isolated-above': {
      const path = step.path.map((verdict) => shorten(verdict.device));
      const nearest = step.path[0];
      if (path.length > 1) return `Every port from ${path[0]} to the root (${path.join(', ')}) isolates.`;
      return `${shorten(step.bridge)} above it isolates${nearest ? `: ${acsBecause(nearest)}` : ''}.`;
    }
    case 'root-bus':
      return `${shorten(step.device)} sits on a root bus: no port above it could let others reach it.`;
    case 'alias-partner':
      return `${shorten(step.device)} and ${shorten(step.partner)} use each other's requester id${quirkWords(step.quirk)}.`;
    case 'function':
      return functionWords(step, shorten);
    case 'own':
      return 'Its IOMMU gives every device a group of its own.';
    case 'instance':
      return `${step.iommu} keeps all its devices in one group.`;
    case 'firmware':
      return `The firmware table ${step.table} names it together with others (${step.key}).`;
    case 'usb-companion':
      return `${shorten(step.device)} and ${shorten(step.companion)} are USB controllers of one device, kept together.`;
    case 'number':
      return `Kernels of that time gave it the number ${step.id}, that of ${shorten(step.of)}: ${step.because}.`;
    case 'bus': {
      const bridge = step.bridge === undefined ? '' : ` below ${shorten(step.bridge)}`;
      const acs = step.acs === undefined ? '' : `: ${acsBecause(step.acs, shorten(step.acs.device))}`;
      return `It is on bus ${step.bus}${bridge}, ${ISOLATION[step.isolation] ?? step.isolation}${acs}.`;
    }
  }
}

function aliasWords(
  reason: Reason,
  step: Extract<Step, { step: 'alias' }>,
  shorten: Shorten,
): string | undefined {
  const rid = requesterId(step.requesterId);
  switch (step.how) {
    case 'self':
      return undefined; // Its own id is no news.
    case 'real-dma-device':
      return `Its DMA is sent by ${shorten(step.device)}, in whose name it appears to the IOMMU.`;
    case 'alias-mask':
      return `It also sends DMA as ${rid}${quirkWords(step.quirk)}.`;
    case 'bridge-own':
      return `${shorten(step.device)} above it passes its DMA on under its own id (${rid}), so the IOMMU cannot tell them apart${quirkWords(step.quirk)}.`;
    case 'bridge-subordinate':
      return `${shorten(step.device)} above it passes the DMA of its whole bus on as ${rid}, so the IOMMU cannot tell ${shorten(reason.device)} from others there${quirkWords(step.quirk)}.`;
  }
}

function functionWords(step: Extract<Step, { step: 'function' }>, shorten: Shorten): string {
  const device = shorten(step.device);
  if (step.own.enabled)
    return `Functions of its device are kept apart from ${device}: ${acsBecause(step.own, device)}.`;
  if (step.sibling === undefined) {
    return `${device} is one function of several and does not isolate (${acsBecause(step.own)}), but none of the others is open to it.`;
  }
  return `${device} and ${shorten(step.sibling)} are functions of one device and may reach each other directly: ${acsBecause(step.own, device)}.`;
}

const quirkWords = (quirk: string | undefined): string => (quirk === undefined ? '' : ` (quirk ${quirk})`);

/** `02:00.0` of a 16-bit requester id. */
export function requesterId(rid: number): string {
  const bus = (rid >> 8).toString(16).padStart(2, '0');
  const slot = ((rid >> 3) & 0x1f).toString(16).padStart(2, '0');
  return `${bus}:${slot}.${rid & 7}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
