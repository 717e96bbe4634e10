{
  type: 'get_instruments',
  markets: ['BTC'],
}
