{
  type: 'subscribe',
  subscriptions: [
    {
      channel: 'instruments',
      query: { market: 'BTC' },
    },
    {
      channel: 'index_price',
      query: { pair: 'BTC_USDC' },
    },
    {
      channel: 'orderbook_perps',
      query: { pair: 'BTC_USDC' },
    },
  ],
}
