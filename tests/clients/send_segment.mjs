// Sends events with Segment's SDK for Node: EVENTS tracks, an identify and a page view.
import { Analytics } from '@segment/analytics-node'

const { HOST, WRITE_KEY, EVENTS = '3' } = process.env
const analytics = new Analytics({ writeKey: WRITE_KEY, host: HOST, flushAt: 10, flushInterval: 50 })
analytics.on('error', (error) => { throw new Error(`${error.code}: ${error.reason}`) })
analytics.identify({ userId: 'u-1', traits: { plan: 'gold' } })
analytics.page({ anonymousId: 'a-1', name: 'Home', properties: { url: 'https://shop.example/' } })
for (let n = 0; n < Number(EVENTS); n++) {
  analytics.track({ userId: 'u-1', event: 'Order Completed', properties: { n, text: '知音' } })
}
await analytics.closeAndFlush()
