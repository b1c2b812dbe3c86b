// Sends events with RudderStack's SDK for Node: two tracks and an identify.
const Analytics = require('@rudderstack/rudder-sdk-node')

const { HOST, WRITE_KEY } = process.env
const analytics = new Analytics(WRITE_KEY, { dataPlaneUrl: HOST, flushAt: 10, flushInterval: 50 })
analytics.identify({ userId: 'u-1', traits: { plan: 'gold' } })
for (let n = 0; n < 2; n++) {
  analytics.track({ userId: 'u-1', event: 'Order Completed', properties: { n } })
}
analytics.flush((error) => process.exit(error ? 1 : 0))
